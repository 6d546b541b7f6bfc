// The control channel: its wire form, the exchange through the vfs, and the commands.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "cli/control_server.h"
#include "cli/standalone.h"
#include "test/support/sim_disk.h"

namespace curvefs::cli {
namespace {

const client::Caller kRoot;

TEST(ControlWire, ARequestComesBackAsItWas) {
  const ControlRequest request{"do",
                               {{"n", uint64_t{1} << 63},
                                {"t", "a\n\"b"},
                                {"yes", true},
                                {"ids", std::vector<uint64_t>{1, 2}},
                                {"names", std::vector<std::string>{"x", ""}}}};
  const std::string line = EncodeControlRequest(request);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  auto back = DecodeControlRequest(line);
  ASSERT_TRUE(back) << back.error().ToString();
  EXPECT_EQ(back->command, "do");
  EXPECT_EQ(back->arguments, request.arguments);
}

TEST(ControlWire, NonsenseIsRefused) {
  for (const char* text :
       {"", "{", "[]", "1", "{}", "{\"command\":1}", "{\"command\":\"x\",\"arguments\":[]}",
        "{\"command\":\"x\",\"arguments\":{\"a\":-1}}", "{\"command\":\"x\",\"arguments\":{\"a\":null}}",
        "{\"command\":\"x\",\"arguments\":{\"a\":[1,\"b\"]}}",
        "{\"command\":\"x\",\"arguments\":{\"a\":{}}}"}) {
    auto r = DecodeControlRequest(text);
    ASSERT_FALSE(r) << text;
    EXPECT_EQ(r.error().code(), Code::kInvalid) << text;
  }
  EXPECT_FALSE(DecodeControlRequest(std::string(100'000, '[')));
  for (const char* text : {"", "{}", "{\"error\":{\"code\":0,\"message\":\"\"}}", "{\"error\":1}",
                           "{\"error\":{\"code\":999,\"message\":\"\"}}", "{\"other\":{}}", "{\"result\":3}"})
    EXPECT_FALSE(DecodeControlLine(text)) << text;
}

class ControlTest : public testing::Test {
 protected:
  void SetUp() override {
    StandaloneOptions options;
    options.seed = 1;
    options.copyset.background = false;
    options.data.inline_max = 0;
    options.data.staged_max = 0;
    auto fs = Standalone::Open(disk_, Clock::System(), "/fs", options);
    ASSERT_TRUE(fs) << fs.error().ToString();
    fs_ = *std::move(fs);
  }
  void TearDown() override { EXPECT_TRUE(fs_->Shutdown().ok()); }
  client::Vfs& vfs() { return fs_->vfs(); }

  Result<client::HandleId> OpenControl(const client::Caller& caller = kRoot, int flags = O_RDWR) {
    CURVEFS_TRY(auto entry, vfs().Lookup(caller, kRootInode, ".control"));
    EXPECT_FALSE(entry.cacheable);
    EXPECT_EQ(entry.inode.mode, S_IFREG | 0600u);
    inode_ = entry.inode.id;
    CURVEFS_TRY(auto opened, vfs().Open(caller, inode_, flags));
    EXPECT_TRUE(opened.direct);
    return opened.handle;
  }
  // One line that is not empty; "" at the end.
  std::string Line(client::HandleId handle) {
    while (true) {
      if (size_t end = text_.find('\n'); end != std::string::npos) {
        std::string line = text_.substr(0, end);
        text_.erase(0, end + 1);
        if (!line.empty()) return line;
        continue;
      }
      auto part = vfs().Read(inode_, handle, 0, 100);
      EXPECT_TRUE(part);
      if (!part || TotalSize(*part) == 0) return {};
      for (const auto& slice : *part) text_ += slice.view();
    }
  }
  Status Ask(client::HandleId handle, const std::string& text) {
    auto n = vfs().Write(inode_, handle, 0, BufferSlice::CopyOf(text), {});
    return n ? Status() : n.error();
  }

  test::SimDisk disk_;
  std::unique_ptr<Standalone> fs_;
  InodeId inode_;
  std::string text_;
};

TEST_F(ControlTest, AnUnknownCommandAndBadRequestsAreAnswered) {
  for (const std::string request : {"{\"command\":\"bake\"}\n", "hello\n", "{\"command\":\"bake\"}", "\n"}) {
    auto handle = OpenControl();
    ASSERT_TRUE(handle);
    ASSERT_TRUE(Ask(*handle, request).ok());
    auto line = DecodeControlLine(Line(*handle));
    ASSERT_TRUE(line) << request;
    EXPECT_EQ(line->kind, ControlLine::Kind::kError);
    EXPECT_EQ(line->error.code(),
              request.find("bake") == std::string::npos ? Code::kInvalid : Code::kNotSupported);
    EXPECT_EQ(Line(*handle), "");
    EXPECT_EQ(Ask(*handle, "more").code(), Code::kBusy);
    vfs().Release(inode_, *handle);
    EXPECT_EQ(Ask(*handle, "x").code(), Code::kBadHandle);
    vfs().Forget(inode_, 1);
  }
}

TEST_F(ControlTest, OnlyTheOwnerAndRootMayOpenItAndOnlyForBoth) {
  EXPECT_EQ(OpenControl({.uid = 12345}).error().code(), Code::kAccessDenied);
  EXPECT_EQ(OpenControl(kRoot, O_RDONLY).error().code(), Code::kInvalid);
  EXPECT_EQ(OpenControl(kRoot, O_WRONLY).error().code(), Code::kInvalid);
  EXPECT_EQ(vfs().Create(kRoot, kRootInode, ".control", 0644, O_RDWR).error().code(), Code::kNotPermitted);
  EXPECT_EQ(vfs().Unlink(kRoot, kRootInode, ".control").code(), Code::kNotPermitted);
}

TEST_F(ControlTest, TheNumberOfExchangesAndTheSizeOfARequestAreBounded) {
  std::vector<std::pair<InodeId, client::HandleId>> open;
  for (size_t i = 0; i < client::ControlFiles::kMaxOpen; ++i) {
    auto handle = OpenControl();
    ASSERT_TRUE(handle) << i;
    open.emplace_back(inode_, *handle);
  }
  EXPECT_EQ(OpenControl().error().code(), Code::kBusy);
  inode_ = open[0].first;
  const std::string megabyte(client::ControlFiles::kMaxRequest, 'x');
  EXPECT_TRUE(Ask(open[0].second, megabyte).ok());
  EXPECT_EQ(Ask(open[0].second, "y").code(), Code::kTooBig);
  for (auto [inode, handle] : open) vfs().Release(inode, handle);
  EXPECT_TRUE(OpenControl());
}

TEST(ControlFiles, ProgressArrivesInOrderAndASlowReaderHoldsUpTheCommandNotMemory) {
  std::atomic<size_t> sent{0};
  client::ControlFiles files([&](const std::string& request, client::ControlReply& reply) {
    EXPECT_EQ(request, "go");
    for (int i = 0; i < 10'000 && reply.Send(std::to_string(i) + std::string(100, '.')); ++i) sent = i + 1;
  });
  ASSERT_TRUE(files.Open(1).ok());
  ASSERT_TRUE(files.Write(1, "g").ok());
  ASSERT_TRUE(files.Write(1, "o\nignored").ok());
  std::string text;
  int lines = 0;
  for (auto part = files.Read(1, 500); part && !part->empty(); part = files.Read(1, 500)) {
    text += *part;
    for (size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
      if (end == 0) continue;
      EXPECT_TRUE(text.starts_with(std::to_string(lines++) + "."));
    }
    EXPECT_LE(sent * 100, static_cast<size_t>(lines) * 100 + client::ControlFiles::kMaxWaiting + 1000);
  }
  EXPECT_EQ(lines, 10'000);
}

TEST(ControlFiles, ClosingCancelsAndStopWaitsForTheEnd) {
  std::atomic<int> begun{0}, ended{0};
  client::ControlFiles files([&](const std::string&, client::ControlReply& reply) {
    ++begun;
    while (reply.Send("still here")) {
    }
    EXPECT_TRUE(reply.cancelled());
    ++ended;
  });
  ASSERT_TRUE(files.Open(1).ok());
  ASSERT_TRUE(files.Open(2).ok());
  for (uint64_t handle : {1, 2}) {
    ASSERT_TRUE(files.Write(handle, "x\n").ok());
    while (files.Read(handle, 100).value_or("") == "\n") {
    }
  }
  EXPECT_EQ(begun, 2);
  files.Close(1);
  EXPECT_EQ(files.Read(1, 10).error().code(), Code::kBadHandle);
  files.Stop();
  EXPECT_EQ(ended, 2);
  EXPECT_EQ(files.Open(3).code(), Code::kBusy);
}

TEST_F(ControlTest, CompactingATreeReducesWhatReadingTakes) {
  auto dir = vfs().MkDir(kRoot, kRootInode, "d", 0755);
  ASSERT_TRUE(dir);
  auto file = vfs().Create(kRoot, dir->inode.id, "f", 0644, O_RDWR);
  ASSERT_TRUE(file);
  const InodeId id = file->entry.inode.id;
  std::string content(1 << 20, 'a');
  std::mt19937 random(1);
  auto write = [&](uint64_t offset, const std::string& bytes) {
    ASSERT_TRUE(vfs().Write(id, file->opened.handle, offset, BufferSlice::CopyOf(bytes), {}));
    content.replace(offset, bytes.size(), bytes);
  };
  write(0, content);
  for (int i = 0; i < 60; ++i) {
    write(random() % (1 << 20) / 4096 * 4096 % ((1 << 20) - 4096),
          std::string(4096, static_cast<char>('b' + i % 20)));
    ASSERT_TRUE(vfs().Fsync(id, false).ok());
  }
  auto before = vfs().CostOfReading(id);
  ASSERT_TRUE(before);
  EXPECT_GT(before->requests, 40u);

  auto handle = OpenControl();
  ASSERT_TRUE(handle);
  ASSERT_TRUE(Ask(*handle, EncodeControlRequest({"compact", {{"inode", kRootInode.value}}})).ok());
  auto progress = DecodeControlLine(Line(*handle));
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->kind, ControlLine::Kind::kProgress);
  EXPECT_EQ(FieldOr<std::string>(progress->fields, "path", ""), "d/f");
  EXPECT_EQ(FieldOr<uint64_t>(progress->fields, "requests_before", 0), before->requests);
  auto result = DecodeControlLine(Line(*handle));
  ASSERT_TRUE(result);
  ASSERT_EQ(result->kind, ControlLine::Kind::kResult) << result->error.ToString();
  EXPECT_EQ(FieldOr<uint64_t>(result->fields, "files", 0), 1u);
  EXPECT_EQ(FieldOr<uint64_t>(result->fields, "requests_after", 0), 1u);
  vfs().Release(inode_, *handle);
  auto read = vfs().Read(id, file->opened.handle, 0, content.size());
  ASSERT_TRUE(read);
  std::string got(TotalSize(*read), '\0');
  CopyOut(*read, got.data());
  EXPECT_TRUE(got == content);
}

}  // namespace
}  // namespace curvefs::cli
