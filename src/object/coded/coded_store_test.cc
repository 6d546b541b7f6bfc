// Coded objects: what gets smaller, what an outsider cannot do, and the keys. The contract of stores is held
// in object_store_test.cc.
#include "object/coded/coded_store.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <cstdlib>
#include <random>

#include "test/support/fault_object_store.h"
#include "test/support/golden.h"

namespace curvefs::object {
namespace {

ObjectName Name(uint64_t chunk) {
  return {ChunkId(chunk), 0, 0, FsId(1), InodeId(77)};
}
std::string Noise(size_t n, uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  std::string s(n, '\0');
  for (auto& c : s) c = static_cast<char>(random());
  return s;
}
std::string Text(size_t n) {
  std::string s;
  for (uint64_t i = 0; s.size() < n; ++i)
    s += "line " + std::to_string(i * i) + " of a log that repeats itself\n";
  s.resize(n);
  return s;
}
BufferList One(std::string_view bytes) {
  return {BufferSlice::CopyOf(bytes)};
}
DataKey FixedKey(unsigned char first = 1) {
  std::array<unsigned char, DataKey::kBytes> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(first + i);
  return DataKey(bytes);
}

struct Stores {
  explicit Stores(CodedOptions options) {
    auto inner_store = MakeMemoryObjectStore();
    auto counting = std::make_unique<test::FaultObjectStore>(*inner_store, 1);
    base = std::move(inner_store);
    inner = counting.get();
    store = MakeCodedStore(std::move(counting), std::move(options));
  }
  std::string Inside(const ObjectName& name) {
    auto stat = base->Stat(name);
    auto bytes = base->ReadWhole(name, stat->digest);
    return {(*bytes)->data(), (*bytes)->size()};
  }
  // What comes of reading `bytes` put in the place of an object by somebody who can do that, digest and all.
  Result<std::string> ReadPlanted(const ObjectName& name, const std::string& bytes, size_t n) {
    CURVEFS_TRY(const uint32_t digest, base->Put(name, One(bytes)));
    std::string out(n, '?');
    CURVEFS_CHECK_OK(store->Read(name, digest, 0, out.data(), n));
    return out;
  }
  std::unique_ptr<ObjectStore> base;
  test::FaultObjectStore* inner;
  std::unique_ptr<ObjectStore> store;
};

TEST(CodedStoreTest, TextGetsSmallerAndNoiseHardlyLarger) {
  for (auto compression : {Compression::kLz4, Compression::kZstd}) {
    Stores s({.compression = compression});
    ASSERT_TRUE(s.store->Put(Name(1), One(Text(1 << 20))));
    EXPECT_LT(s.base->Stat(Name(1))->size, (1u << 20) / 2);
    ASSERT_TRUE(s.store->Put(Name(2), One(Noise(kBlockSize))));
    EXPECT_LE(s.base->Stat(Name(2))->size, kBlockSize + 1024);
    ASSERT_TRUE(s.store->Put(Name(3), {BufferSlice::Zeros(kBlockSize)}));
    EXPECT_LT(s.base->Stat(Name(3))->size, kBlockSize / 50);
    EXPECT_EQ(s.store->Stat(Name(3))->size, kBlockSize);
  }
}

TEST(CodedStoreTest, ARangeIsReadWithoutTheRest) {
  Stores s({.compression = Compression::kZstd, .encrypted = true, .key = FixedKey()});
  const std::string bytes = Noise(kBlockSize);
  auto digest = s.store->Put(Name(1), One(bytes));
  ASSERT_TRUE(digest);
  std::string out(1000, '?');
  ASSERT_TRUE(s.store->Read(Name(1), *digest, 2'000'000, out.data(), out.size()).ok());
  EXPECT_EQ(out, bytes.substr(2'000'000, 1000));
  EXPECT_LT(s.inner->read_bytes(), 2 * kFrameBytes);
  const auto reads = s.inner->reads();
  ASSERT_TRUE(s.store->Read(Name(1), *digest, 3'000'000, out.data(), out.size()).ok());
  EXPECT_EQ(s.inner->reads(), reads + 1) << "the index is remembered";
}

TEST(CodedStoreTest, NothingOfTheDataCanBeSeenInside) {
  Stores s({.encrypted = true, .key = FixedKey()});
  const std::string bytes = Text(100'000);
  ASSERT_TRUE(s.store->Put(Name(1), One(bytes)));
  const std::string first = s.Inside(Name(1));
  EXPECT_EQ(first.find("log that repeats"), first.npos);
  ASSERT_TRUE(s.store->Put(Name(1), One(bytes)));
  const std::string second = s.Inside(Name(1));
  size_t same = 0;
  for (size_t i = kCodedHeaderBytes; i < first.size(); ++i) same += first[i] == second[i];
  EXPECT_LT(same, first.size() / 100) << "a salt of its own for each version";
}

TEST(CodedStoreTest, EveryChangedBitOfAnEncryptedObjectIsNoticed) {
  Stores s({.compression = Compression::kLz4, .encrypted = true, .key = FixedKey()});
  const std::string bytes = Text(70'000) + Noise(70'000);  // compressed and raw frames
  ASSERT_TRUE(s.store->Put(Name(1), One(bytes)));
  const std::string whole = s.Inside(Name(1));
  ASSERT_TRUE(*s.ReadPlanted(Name(1), whole, bytes.size()) == bytes) << "planted as it was it is read";
  for (size_t at = 0; at < whole.size(); at += at < 200 ? 1 : 1009) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 1 << at % 8);
    auto got = s.ReadPlanted(Name(1), changed, bytes.size());
    ASSERT_FALSE(got) << "byte " << at;
    EXPECT_TRUE(got.error().code() == Code::kCorrupt || got.error().code() == Code::kUnsupportedVersion);
  }
  for (size_t n : {size_t{0}, size_t{10}, size_t{47}, size_t{48}, size_t{60}, whole.size() - 1}) {
    EXPECT_EQ(s.ReadPlanted(Name(1), whole.substr(0, n), bytes.size()).error().code(), Code::kCorrupt) << n;
  }
  EXPECT_EQ(s.ReadPlanted(Name(1), whole + "x", bytes.size()).error().code(), Code::kCorrupt);
}

TEST(CodedStoreTest, ObjectsAndFramesCannotBeSwapped) {
  Stores s({.encrypted = true, .key = FixedKey()});
  const std::string bytes = Noise(3 * kFrameBytes);
  ASSERT_TRUE(s.store->Put(Name(1), One(bytes)));
  std::string whole = s.Inside(Name(1));
  EXPECT_EQ(s.ReadPlanted(Name(2), whole, 10).error().code(), Code::kCorrupt) << "another object's name";
  const size_t frame = kFrameBytes + Gcm::kTagBytes, first = whole.size() - 3 * frame;
  const std::string swapped = whole.substr(0, first) + whole.substr(first + frame, frame) +
                              whole.substr(first, frame) + whole.substr(first + 2 * frame);
  EXPECT_EQ(s.ReadPlanted(Name(1), swapped, bytes.size()).error().code(), Code::kCorrupt);
  // An older version's frame in a newer one.
  ASSERT_TRUE(s.store->Put(Name(1), One(bytes)));
  const std::string newer = s.Inside(Name(1));
  const std::string mixed = newer.substr(0, first) + whole.substr(first);
  EXPECT_EQ(s.ReadPlanted(Name(1), mixed, bytes.size()).error().code(), Code::kCorrupt);
  // One that was never encrypted.
  const std::string plain = EncodeObject(Name(1), One(bytes), Compression::kNone, nullptr);
  auto got = s.ReadPlanted(Name(1), plain, bytes.size());
  ASSERT_FALSE(got);
  EXPECT_NE(got.error().message().find("not encrypted"), std::string::npos) << got.error().message();
}

// Canary for the two tests above: without encryption a forger who can also forge the digest gets through.
TEST(CodedStoreTest, CanaryWithoutAKeyAForgeryIsRead) {
  Stores s({});
  const std::string bytes = Noise(1000);
  ASSERT_TRUE(s.store->Put(Name(1), One(bytes)));
  std::string whole = s.Inside(Name(1));
  whole.back() ^= 1;
  auto got = s.ReadPlanted(Name(2), whole, bytes.size());
  ASSERT_TRUE(got);
  EXPECT_NE(*got, bytes);
}

TEST(CodedStoreTest, WithoutTheKeyOnlySizesCanBeHad) {
  Stores s({.encrypted = true, .key = FixedKey()});
  auto digest = s.store->Put(Name(1), One("secret"));
  ASSERT_TRUE(digest);
  auto blind = MakeCodedStore(std::make_unique<test::FaultObjectStore>(*s.base, 1), {.encrypted = true});
  EXPECT_EQ(blind->Stat(Name(1))->size, 6u);
  EXPECT_EQ(blind->Stat(Name(1))->digest, *digest);
  char out[6];
  EXPECT_EQ(blind->Read(Name(1), *digest, 0, out, 6).code(), Code::kAccessDenied);
  EXPECT_EQ(blind->Put(Name(2), One("x")).error().code(), Code::kAccessDenied);
  auto wrong = MakeCodedStore(std::make_unique<test::FaultObjectStore>(*s.base, 1),
                              {.encrypted = true, .key = FixedKey(2)});
  EXPECT_EQ(wrong->Read(Name(1), *digest, 0, out, 6).code(), Code::kCorrupt);
}

TEST(CodedStoreTest, GoldenFiles) {
  const std::string bytes = Text(100'000) + Noise(40'000);
  const DataKey key = FixedKey();
  const std::string salt = "0123456789abcdef";
  EXPECT_TRUE(test::MatchesGolden("coded-aes-v1.bin",
                                  EncodeObject(Name(5), One(bytes), Compression::kNone, &key, salt)));
  // What a compressor makes may differ with its version; what was made must be read.
  for (auto compression : {Compression::kLz4, Compression::kZstd}) {
    const std::string file = "coded-" + std::string(CompressionName(compression)) + "-v1.bin";
    if (std::getenv("CURVEFS_UPDATE_GOLDEN") != nullptr) {
      ASSERT_TRUE(test::MatchesGolden(file, EncodeObject(Name(5), One(bytes), compression, &key, salt)));
    }
    Stores s({.encrypted = true, .key = key});
    auto got = s.ReadPlanted(Name(5), test::ReadGolden(file), bytes.size());
    ASSERT_TRUE(got) << got.error().ToString();
    EXPECT_TRUE(*got == bytes);
  }
}

// ---- keys

constexpr std::string_view kUuid = "11111111-2222-4333-8444-555555555555";

struct Pems {
  std::string all, only_public;
};
Pems NewRsa(int bits) {
  EVP_PKEY* key = EVP_RSA_gen(static_cast<unsigned>(bits));
  auto text = [](auto&& write) {
    BIO* bio = BIO_new(BIO_s_mem());
    write(bio);
    char* data = nullptr;
    const long n = BIO_get_mem_data(bio, &data);
    std::string out(data, static_cast<size_t>(n));
    BIO_free(bio);
    return out;
  };
  Pems pems;
  pems.all = text([&](BIO* b) { PEM_write_bio_PrivateKey(b, key, nullptr, nullptr, 0, nullptr, nullptr); });
  pems.only_public = text([&](BIO* b) { PEM_write_bio_PUBKEY(b, key); });
  EVP_PKEY_free(key);
  return pems;
}

TEST(DataKeyTest, APassphraseOpensWhatItWrapped) {
  auto key = DataKey::Random();
  ASSERT_TRUE(key);
  auto wrapped = WrapWithPassphrase(*key, kUuid, "correct horse", 10);
  ASSERT_TRUE(wrapped);
  EXPECT_EQ(*WrappedWith(*wrapped), "passphrase");
  EXPECT_TRUE(*Unwrap(*wrapped, kUuid, "correct horse") == *key);
  EXPECT_EQ(Unwrap(*wrapped, kUuid, "wrong horse").error().code(), Code::kAccessDenied);
  EXPECT_EQ(Unwrap(*wrapped, "another file system", "correct horse").error().code(), Code::kAccessDenied);
  EXPECT_FALSE(WrapWithPassphrase(*key, kUuid, "", 10));
  EXPECT_NE(*wrapped, *WrapWithPassphrase(*key, kUuid, "correct horse", 10));
  for (size_t at = 0; at < wrapped->size(); ++at) {
    std::string damaged = *wrapped;
    damaged[at] = damaged[at] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(Unwrap(damaged, kUuid, "correct horse")) << at;
  }
}

TEST(DataKeyTest, TheDefaultIsStrong) {
  auto key = DataKey::Random();
  auto wrapped = WrapWithPassphrase(*key, kUuid, "x");
  ASSERT_TRUE(wrapped);
  EXPECT_TRUE(wrapped->starts_with("scrypt:17:")) << *wrapped;
  EXPECT_TRUE(*Unwrap(*wrapped, kUuid, "x") == *key);
}

TEST(DataKeyTest, AnRsaKeyOpensWhatItsPublicHalfWrapped) {
  const Pems mine = NewRsa(2048), other = NewRsa(2048);
  auto key = DataKey::Random();
  for (const std::string& pem : {mine.only_public, mine.all}) {
    auto wrapped = WrapWithRsa(*key, kUuid, pem);
    ASSERT_TRUE(wrapped) << wrapped.error().ToString();
    EXPECT_EQ(*WrappedWith(*wrapped), "rsa key");
    EXPECT_TRUE(*Unwrap(*wrapped, kUuid, mine.all) == *key);
    EXPECT_EQ(Unwrap(*wrapped, kUuid, other.all).error().code(), Code::kAccessDenied);
    EXPECT_EQ(Unwrap(*wrapped, "another file system", mine.all).error().code(), Code::kAccessDenied);
    EXPECT_EQ(Unwrap(*wrapped, kUuid, mine.only_public).error().code(), Code::kInvalid);
  }
  EXPECT_EQ(WrapWithRsa(*key, kUuid, NewRsa(1024).all).error().code(), Code::kInvalid) << "too short";
  EXPECT_EQ(WrapWithRsa(*key, kUuid, "no key").error().code(), Code::kInvalid);
}

TEST(DataKeyTest, NonsenseIsRefused) {
  for (const char* bad : {"", "scrypt", "scrypt:17:x", "scrypt:99:AAAA:AAAA", "scrypt:10:AAAA:AAAA",
                          "rsa-oaep-sha256:", "scrypt:10:!!!!:AAAA", "pbkdf2:1:2:3", "scrypt:-1:AAAA:AAAA"}) {
    EXPECT_FALSE(Unwrap(bad, kUuid, "x")) << bad;
  }
}

}  // namespace
}  // namespace curvefs::object
