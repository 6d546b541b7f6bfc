#include "net/hello.h"

#include <algorithm>
#include <charconv>

#include "base/protowire.h"

namespace curvefs::net {

std::string EncodeHello(const Hello& hello) {
  std::string out;
  ProtoWriter w(&out);
  w.Varint(1, hello.version);
  w.Varint(2, hello.oldest);
  w.Varint(3, hello.features);
  w.Varint(4, hello.needs);
  w.Varint(5, static_cast<uint8_t>(hello.role));
  w.Varint(6, hello.sender);
  w.Varint(7, hello.receiver);
  w.Fixed64(8, hello.incarnation);
  w.Bytes(9, hello.cluster);
  w.Varint(10, hello.max_payload);
  w.Varint(11, hello.lane);
  w.Varint(12, hello.lanes);
  w.Bytes(13, hello.info);
  return out;
}

Result<Hello> DecodeHello(std::string_view bytes) {
  Hello hello{.version = 0, .oldest = 0};
  uint64_t role = 0;
  bool good = true;
  auto small = [&](uint64_t v) {
    good &= v <= UINT32_MAX;
    return static_cast<uint32_t>(v);
  };
  ProtoReader in(bytes);
  while (in.Next()) {
    switch (in.field()) {
      case 1:
        hello.version = small(in.number());
        break;
      case 2:
        hello.oldest = small(in.number());
        break;
      case 3:
        hello.features = in.number();
        break;
      case 4:
        hello.needs = in.number();
        break;
      case 5:
        role = in.number();
        break;
      case 6:
        hello.sender = in.number();
        break;
      case 7:
        hello.receiver = in.number();
        break;
      case 8:
        hello.incarnation = in.number();
        break;
      case 9:
        hello.cluster = in.bytes();
        break;
      case 10:
        hello.max_payload = small(in.number());
        break;
      case 11:
        hello.lane = small(in.number());
        break;
      case 12:
        hello.lanes = small(in.number());
        break;
      case 13:
        hello.info = in.bytes();
        break;
      default:
        break;
    }
  }
  good &= in.ok() && hello.version > 0 && hello.oldest > 0 && hello.oldest <= hello.version;
  good &= role >= 1 && role <= 255 && hello.cluster.size() <= kMaxCluster && hello.info.size() <= kMaxInfo;
  if (!good) return Fail(Code::kCorrupt, "a malformed handshake");
  hello.role = static_cast<Role>(role);
  return hello;
}

Status CheckHello(const Hello& mine, const Hello& theirs) {
  const uint32_t version = std::min(mine.version, theirs.version);
  if (version < std::max(mine.oldest, theirs.oldest)) {
    auto range = [](const Hello& h) { return std::to_string(h.oldest) + " to " + std::to_string(h.version); };
    return {Code::kUnsupportedVersion,
            "one end of the wire speaks versions " + range(mine) + ", the other " + range(theirs)};
  }
  if ((mine.needs & ~theirs.features) != 0 || (theirs.needs & ~mine.features) != 0)
    return {Code::kUnsupportedVersion, "one end of the wire needs what the other cannot do"};
  if (!mine.cluster.empty() && !theirs.cluster.empty() && mine.cluster != theirs.cluster) {
    return {Code::kInvalid, "of another cluster: '" + theirs.cluster + "', not '" + mine.cluster + "'"};
  }
  auto meant = [](const Hello& from, const Hello& to) {
    return from.receiver == 0 || from.receiver == to.sender;
  };
  if (!meant(mine, theirs) || !meant(theirs, mine)) {
    return {Code::kInvalid, "another process is at this address: " +
                                std::to_string(meant(mine, theirs) ? mine.sender : theirs.sender)};
  }
  return {};
}

std::string EncodeStatus(const Status& status) {
  std::string out;
  ProtoWriter w(&out);
  w.Varint(1, static_cast<uint8_t>(status.code()));
  w.Bytes(2, status.message());
  return out;
}

Status DecodeStatus(std::string_view bytes) {
  uint64_t code = 0;
  std::string message;
  ProtoReader in(bytes);
  while (in.Next()) {
    if (in.field() == 1) code = in.number();
    if (in.field() == 2) message = in.bytes();
  }
  if (!in.ok() || code == 0 || code > 255) return {Code::kCorrupt, "a malformed status"};
  // A code of a newer program means to us that it cannot be done now.
  if (code > static_cast<uint8_t>(Code::kUnsupportedVersion)) code = static_cast<uint8_t>(Code::kIo);
  return {static_cast<Code>(code), std::move(message)};
}

std::string Address::ToString() const {
  const bool brackets = host.find(':') != std::string::npos;
  return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Address> ParseAddress(std::string_view text) {
  Address address;
  const size_t colon = text.rfind(':');
  auto bad = [&] {
    return Fail(Code::kInvalid, "'" + std::string(text) + "' is no address: HOST:PORT is expected");
  };
  if (colon == std::string_view::npos) return bad();
  std::string_view host = text.substr(0, colon), port = text.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad();
  }
  auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc() || end != port.data() + port.size() || port.empty()) return bad();
  address.host = host;
  return address;
}

}  // namespace curvefs::net
