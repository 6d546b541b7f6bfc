#include "object/s3/transport.h"

#include <curl/curl.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <list>
#include <thread>

#include "base/blocking.h"
#include "base/mutex.h"
#include "base/status.h"
#include "object/s3/http.h"

namespace curvefs::object::s3 {
namespace {

constexpr long kSendBuffer = 512 << 10;
constexpr long kReceiveBuffer = 256 << 10;
constexpr long kLimitedBuffer = 16 << 10;  // with a bandwidth limit: smaller steps
constexpr Duration kLongestNap = std::chrono::seconds(1);

struct Batch {  // of exchanges that one thread waits for
  Mutex mu;     // a leaf
  CondVar done;
  size_t left CURVEFS_GUARDED_BY(mu) = 0;
};

// A token bucket that may be overdrawn by one step. Used by the driver thread only.
class RateLimit {
 public:
  explicit RateLimit(uint64_t bytes_per_second)
      : rate_(static_cast<double>(bytes_per_second)), most_(std::max(rate_ / 10, double{kLimitedBuffer})) {}

  bool limited() const { return rate_ > 0; }
  void Refill(SteadyTime now) {
    if (last_ != SteadyTime())
      level_ = std::min(most_, level_ + rate_ * std::chrono::duration<double>(now - last_).count());
    last_ = now;
  }
  // How much of n bytes may go now; 0: none, wait.
  size_t Allowed(size_t n) const {
    if (!limited()) return n;
    if (level_ <= 0) return 0;
    return std::min(n, std::max<size_t>(kLimitedBuffer, static_cast<size_t>(level_)));
  }
  void Spend(size_t n) { level_ -= limited() ? static_cast<double>(n) : 0; }
  Duration UntilMore() const {
    return level_ > 0 ? Duration(0)
                      : std::chrono::duration_cast<Duration>(std::chrono::duration<double>(-level_ / rate_)) +
                            std::chrono::milliseconds(1);
  }

 private:
  const double rate_, most_;
  double level_ = 0;
  SteadyTime last_;
};

Exchange::Outcome OutcomeOf(CURLcode code) {
  switch (code) {
    case CURLE_OK:
      return Exchange::Outcome::kAnswered;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return Exchange::Outcome::kNoAddress;
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
      return Exchange::Outcome::kNoConnection;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
      return Exchange::Outcome::kUntrusted;
    case CURLE_OPERATION_TIMEDOUT:
      return Exchange::Outcome::kTimedOut;
    default:
      return Exchange::Outcome::kBroken;
  }
}

}  // namespace

std::string Exchange::Header(std::string_view name) const {
  for (const auto& [n, value] : answer_headers) {
    if (n == name) return value;
  }
  return {};
}

class Transport::Driver {
 public:
  explicit Driver(TransportOptions options);
  ~Driver();
  void Run(std::span<Exchange* const> exchanges);
  void GiveUp();
  TransportStats stats() const;

 private:
  struct Waiting {
    Exchange* exchange;
    Batch* batch;
    SteadyTime since;
  };
  struct Running {
    Driver* driver;
    Exchange* exchange;
    Batch* batch;
    CURL* easy = nullptr;
    curl_slist* headers = nullptr;
    size_t slice = 0, in_slice = 0;  // of the body that is sent
    size_t span = 0, in_span = 0;    // of the buffers that are received into
    long status = 0;                 // once the body of the answer begins
    bool too_long = false;
    RateLimit* held_by = nullptr;  // a bandwidth limit
    SteadyTime held_since;
    SteadyTime deadline;
    SteadyTime window_began;  // of the watch for a stall
    uint64_t moved = 0, window_moved = 0;
    char error[CURL_ERROR_SIZE] = {};
  };

  static size_t Send(char* out, size_t size, size_t count, void* running);
  static int Rewind(void* running, curl_off_t offset, int origin);
  static size_t Receive(char* data, size_t size, size_t count, void* running);
  static size_t ReceiveHeader(char* data, size_t size, size_t count, void* running);

  void Main();
  void StartWaiting();
  void Begin(const Waiting& waiting);
  void SetUp(Running* r);
  void Hold(Running* r, RateLimit* limit);
  void LetGo();
  void GiveUpLate();
  void CollectDone();
  void End(Running* r, CURLcode code, const char* why);
  Duration Nap() const;
  SteadyTime Now() const { return Clock::System().Steady(); }

  const TransportOptions options_;
  CURLM* multi_;

  mutable Mutex mu_;                                                    // a leaf
  std::array<std::deque<Waiting>, 3> waiting_ CURVEFS_GUARDED_BY(mu_);  // by Lane
  bool stop_ CURVEFS_GUARDED_BY(mu_) = false;

  // Of the driver thread.
  std::list<Running> running_;
  std::array<size_t, 3> running_in_ = {};
  std::vector<CURL*> idle_;
  std::deque<Running*> held_;
  RateLimit up_, down_;
  SteadyTime now_;

  std::atomic<uint64_t> exchanges_ = 0, connections_ = 0, sent_ = 0, received_ = 0, in_flight_ = 0;
  std::atomic<bool> given_up_ = false;
  std::thread thread_;
};

Transport::Driver::Driver(TransportOptions options)
    : options_(std::move(options)),
      up_(options_.upload_bytes_per_second),
      down_(options_.download_bytes_per_second) {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  CURVEFS_CHECK(initialised == CURLE_OK);
  multi_ = curl_multi_init();
  CURVEFS_CHECK(multi_ != nullptr);
  size_t all = 0;
  for (size_t n : options_.at_once) all += n;
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(all));
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  thread_ = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), "s3-transport");
    Main();
  });
}

Transport::Driver::~Driver() {
  {
    MutexLock lock(mu_);
    stop_ = true;
  }
  curl_multi_wakeup(multi_);
  thread_.join();
  CURVEFS_CHECK(running_.empty());
  for (CURL* easy : idle_) curl_easy_cleanup(easy);
  curl_multi_cleanup(multi_);
}

void Transport::Driver::GiveUp() {
  given_up_ = true;
  curl_multi_wakeup(multi_);
}

TransportStats Transport::Driver::stats() const {
  TransportStats s{exchanges_, connections_, sent_, received_, in_flight_, 0};
  MutexLock lock(mu_);
  for (const auto& lane : waiting_) s.waiting += lane.size();
  return s;
}

void Transport::Driver::Run(std::span<Exchange* const> exchanges) {
  AboutToBlock();
  Batch batch;
  {
    MutexLock lock(batch.mu);
    batch.left = exchanges.size();
  }
  {
    const SteadyTime now = Now();
    MutexLock lock(mu_);
    for (Exchange* e : exchanges) waiting_[static_cast<size_t>(e->lane)].push_back({e, &batch, now});
  }
  curl_multi_wakeup(multi_);
  MutexLock lock(batch.mu);
  while (batch.left > 0) batch.done.Wait(batch.mu);
}

void Transport::Driver::Main() {
  for (;;) {
    now_ = Now();
    if (up_.limited()) up_.Refill(now_);
    if (down_.limited()) down_.Refill(now_);
    StartWaiting();
    LetGo();
    int still = 0;
    curl_multi_perform(multi_, &still);
    CollectDone();
    now_ = Now();
    GiveUpLate();
    {
      MutexLock lock(mu_);
      if (stop_ && running_.empty()) return;
      bool more = false;  // a place became free
      for (size_t lane = 0; lane < waiting_.size(); ++lane)
        more |= !waiting_[lane].empty() && running_in_[lane] < options_.at_once[lane];
      if (more) continue;
    }
    const auto nap = std::chrono::ceil<std::chrono::milliseconds>(Nap());
    curl_multi_poll(multi_, nullptr, 0, static_cast<int>(nap.count()), nullptr);
  }
}

Duration Transport::Driver::Nap() const {
  Duration nap = kLongestNap;
  for (const Running& r : running_) {
    if (r.held_by != nullptr) continue;
    nap = std::min({nap, r.deadline - now_, r.window_began + options_.stall_timeout - now_});
  }
  for (const Running* r : held_) nap = std::min(nap, r->held_by->UntilMore());
  return std::max(nap, Duration(0));
}

void Transport::Driver::StartWaiting() {
  for (size_t lane = 0; lane < running_in_.size(); ++lane) {
    while (running_in_[lane] < options_.at_once[lane]) {
      Waiting next;
      {
        MutexLock lock(mu_);
        if (waiting_[lane].empty()) break;
        next = waiting_[lane].front();
        waiting_[lane].pop_front();
      }
      Begin(next);
    }
  }
}

void Transport::Driver::Begin(const Waiting& waiting) {
  Exchange* e = waiting.exchange;
  e->waited = now_ - waiting.since;
  Running& r = running_.emplace_back(Running{this, e, waiting.batch});
  ++running_in_[static_cast<size_t>(e->lane)];
  ++exchanges_;
  ++in_flight_;
  r.deadline = now_ + e->timeout;
  r.window_began = now_;
  if (idle_.empty()) {
    r.easy = curl_easy_init();
    CURVEFS_CHECK(r.easy != nullptr);
  } else {
    r.easy = idle_.back();
    idle_.pop_back();
  }
  SetUp(&r);
  CURVEFS_CHECK(curl_multi_add_handle(multi_, r.easy) == CURLM_OK);
}

void Transport::Driver::SetUp(Running* r) {
  const Exchange& e = *r->exchange;
  auto set = [easy = r->easy](CURLoption option, auto value) {
    CURVEFS_CHECK(curl_easy_setopt(easy, option, value) == CURLE_OK);
  };
  using std::chrono::milliseconds;
  set(CURLOPT_PRIVATE, r);
  set(CURLOPT_ERRORBUFFER, r->error);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_URL, e.url.c_str());
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});  // with HTTP/2 all would share one connection
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout / milliseconds(1)));
  set(CURLOPT_USERAGENT, "curvefs");
  if (!options_.ca_file.empty()) set(CURLOPT_CAINFO, options_.ca_file.c_str());
  set(CURLOPT_BUFFERSIZE, down_.limited() ? kLimitedBuffer : kReceiveBuffer);
  set(CURLOPT_UPLOAD_BUFFERSIZE, up_.limited() ? kLimitedBuffer : kSendBuffer);
  set(CURLOPT_WRITEFUNCTION, &Receive);
  set(CURLOPT_WRITEDATA, r);
  set(CURLOPT_HEADERFUNCTION, &ReceiveHeader);
  set(CURLOPT_HEADERDATA, r);
  for (const auto& header : e.headers) r->headers = curl_slist_append(r->headers, header.c_str());
  for (const char* header :
       {"Expect:", "Accept:", "Content-Type:"}) {  // those that libcurl would add by itself
    const std::string_view name(header);
    if (std::ranges::none_of(e.headers, [&](const auto& h) { return std::string_view(h).starts_with(name); }))
      r->headers = curl_slist_append(r->headers, header);
  }
  set(CURLOPT_HTTPHEADER, r->headers);
  if (e.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else if (e.method == "PUT" || e.method == "POST") {
    const auto bytes = static_cast<curl_off_t>(e.body != nullptr ? TotalSize(*e.body) : 0);
    set(CURLOPT_READFUNCTION, &Send);
    set(CURLOPT_READDATA, r);
    set(CURLOPT_SEEKFUNCTION, &Rewind);
    set(CURLOPT_SEEKDATA, r);
    if (e.method == "PUT") {
      set(CURLOPT_UPLOAD, 1L);
      set(CURLOPT_INFILESIZE_LARGE, bytes);
    } else {
      set(CURLOPT_POST, 1L);
      set(CURLOPT_POSTFIELDSIZE_LARGE, bytes);
    }
  } else if (e.method != "GET") {
    set(CURLOPT_CUSTOMREQUEST, e.method.c_str());
  }
}

size_t Transport::Driver::Send(char* out, size_t size, size_t count, void* running) {
  auto* r = static_cast<Running*>(running);
  if (r->exchange->body == nullptr) return 0;
  const BufferList& body = *r->exchange->body;
  const size_t room = r->driver->up_.Allowed(size * count);
  if (room == 0) {
    r->driver->Hold(r, &r->driver->up_);
    return CURL_READFUNC_PAUSE;
  }
  size_t n = 0;
  while (n < room && r->slice < body.size()) {
    const BufferSlice& slice = body[r->slice];
    const size_t step = std::min(room - n, slice.size - r->in_slice);
    if (slice.is_zero()) {
      std::memset(out + n, 0, step);
    } else {
      std::memcpy(out + n, slice.data() + r->in_slice, step);
    }
    n += step;
    r->in_slice += step;
    if (r->in_slice == slice.size) {
      ++r->slice;
      r->in_slice = 0;
    }
  }
  r->driver->up_.Spend(n);
  r->driver->sent_ += n;
  r->moved += n;
  return n;
}

// libcurl sends a request again when a kept connection turns out to be closed.
int Transport::Driver::Rewind(void* running, curl_off_t offset, int origin) {
  auto* r = static_cast<Running*>(running);
  if (origin != SEEK_SET || offset != 0) return CURL_SEEKFUNC_CANTSEEK;
  r->slice = r->in_slice = 0;
  return CURL_SEEKFUNC_OK;
}

size_t Transport::Driver::Receive(char* data, size_t size, size_t count, void* running) {
  auto* r = static_cast<Running*>(running);
  Exchange* e = r->exchange;
  size_t n = size * count;
  if (r->driver->down_.Allowed(n) == 0) {
    r->driver->Hold(r, &r->driver->down_);
    return CURL_WRITEFUNC_PAUSE;
  }
  r->driver->down_.Spend(n);
  r->driver->received_ += n;
  r->moved += n;
  if (r->status == 0) curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &r->status);
  if (r->status / 100 != 2 || e->into.empty()) {
    if (e->text.size() + n > kMaxAnswerText) {
      r->too_long = true;
      return 0;
    }
    e->text.append(data, n);
    return n;
  }
  for (size_t left = n; left > 0;) {
    if (r->span == e->into.size()) {
      r->too_long = true;
      return 0;
    }
    const auto& span = e->into[r->span];
    const size_t step = std::min(left, span.size() - r->in_span);
    std::memcpy(span.data() + r->in_span, data, step);
    data += step;
    left -= step;
    e->received += step;
    r->in_span += step;
    if (r->in_span == span.size()) {
      ++r->span;
      r->in_span = 0;
    }
  }
  return n;
}

size_t Transport::Driver::ReceiveHeader(char* data, size_t size, size_t count, void* running) {
  auto* r = static_cast<Running*>(running);
  const std::string_view line(data, size * count);
  r->moved += line.size();
  if (line.starts_with("HTTP/"))
    r->exchange->answer_headers.clear();  // one after another, if the first was a 100
  if (auto header = ParseHeader(line))
    r->exchange->answer_headers.emplace_back(std::move(header->name), std::move(header->value));
  return line.size();
}

void Transport::Driver::Hold(Running* r, RateLimit* limit) {
  if (r->held_by != nullptr) return;
  r->held_by = limit;
  r->held_since = now_;
  held_.push_back(r);
}

// In the order in which they were held, as far as the limits allow now: each takes one step at least.
void Transport::Driver::LetGo() {
  std::deque<Running*> stay;
  std::array<size_t, 2> budget = {up_.Allowed(SIZE_MAX), down_.Allowed(SIZE_MAX)};
  for (size_t i = held_.size(); i > 0; --i) {
    Running* r = held_.front();
    held_.pop_front();
    size_t& left = budget[r->held_by == &up_ ? 0 : 1];
    if (left == 0) {
      stay.push_back(r);
      continue;
    }
    left -= std::min<size_t>(left, kLimitedBuffer);
    r->held_by = nullptr;
    r->deadline += now_ - r->held_since;
    r->window_began = now_;
    r->window_moved = r->moved;
    curl_easy_pause(r->easy, CURLPAUSE_CONT);  // may call Receive, which may hold it again
  }
  held_.insert(held_.begin(), stay.begin(), stay.end());
}

void Transport::Driver::GiveUpLate() {
  for (auto it = running_.begin(); it != running_.end();) {
    Running* r = &*it++;
    if (r->held_by != nullptr && !given_up_) continue;
    const char* why = nullptr;
    if (given_up_) {
      why = "it was given up for the end of the process";
    } else if (now_ >= r->deadline) {
      why = "it was not done in time";
    } else if (now_ - r->window_began >= options_.stall_timeout) {
      if (r->moved - r->window_moved < kStallBytes) why = "nothing moved for too long";
      r->window_began = now_;
      r->window_moved = r->moved;
    }
    if (why != nullptr) End(r, CURLE_OPERATION_TIMEDOUT, why);
  }
}

void Transport::Driver::CollectDone() {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    Running* r = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &r);
    End(r, message->data.result, nullptr);
  }
}

void Transport::Driver::End(Running* r, CURLcode code, const char* why) {
  Exchange* e = r->exchange;
  long status = 0, connects = 0;
  curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(r->easy, CURLINFO_NUM_CONNECTS, &connects);
  connections_ += static_cast<uint64_t>(connects);
  e->status = static_cast<int>(status);
  e->outcome = r->too_long ? Exchange::Outcome::kTooLong : OutcomeOf(code);
  if (e->outcome != Exchange::Outcome::kAnswered)
    e->error = why != nullptr ? why : r->error[0] != '\0' ? r->error : curl_easy_strerror(code);
  std::erase(held_, r);
  curl_multi_remove_handle(multi_, r->easy);
  curl_easy_reset(r->easy);
  curl_slist_free_all(r->headers);
  idle_.push_back(r->easy);
  --running_in_[static_cast<size_t>(e->lane)];
  --in_flight_;
  Batch* batch = r->batch;
  running_.remove_if([r](const Running& other) { return &other == r; });
  MutexLock lock(batch->mu);
  if (--batch->left == 0) batch->done.NotifyOne();
}

Transport::Transport(TransportOptions options) : driver_(std::make_unique<Driver>(std::move(options))) {}
Transport::~Transport() = default;

void Transport::Run(std::span<Exchange* const> exchanges) {
  if (!exchanges.empty()) driver_->Run(exchanges);
}

void Transport::GiveUp() {
  driver_->GiveUp();
}

TransportStats Transport::stats() const {
  return driver_->stats();
}

}  // namespace curvefs::object::s3
