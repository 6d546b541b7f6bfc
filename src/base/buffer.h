// Byte buffers that are shared, not copied: the payload of a write request becomes part of the write
// cache, a block in the read cache is sent to the kernel, each without a copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace curvefs {

// Memory of a fixed size, page-aligned when it is a page or more. From 32 KiB on it is kept and handed out
// again (bounded), because fresh pages cost a fault each.
class Buffer {
 public:
  static std::shared_ptr<Buffer> Make(size_t size);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  char* data() { return data_; }
  const char* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  Buffer(char* data, size_t size, size_t capacity) : data_(data), size_(size), capacity_(capacity) {}
  char* data_;
  size_t size_;
  size_t capacity_;  // what was allocated
};

// A part of a Buffer. With no buffer it stands for `size` zero bytes (a hole).
struct BufferSlice {
  std::shared_ptr<Buffer> buffer;
  size_t offset = 0;
  size_t size = 0;

  bool is_zero() const { return buffer == nullptr; }
  const char* data() const { return buffer->data() + offset; }  // not for a zero slice
  std::string_view view() const { return {data(), size}; }
  BufferSlice Sub(size_t at, size_t n) const { return {buffer, offset + at, n}; }

  static BufferSlice CopyOf(std::string_view bytes);
  static BufferSlice Zeros(size_t n) { return {nullptr, 0, n}; }
};

// Consecutive bytes, in pieces.
using BufferList = std::vector<BufferSlice>;
size_t TotalSize(const BufferList& list);
// Copies all bytes of `list` to `out` (TotalSize bytes); zero slices become zeros.
void CopyOut(const BufferList& list, char* out);

}  // namespace curvefs
