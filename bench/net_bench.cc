// The latency and throughput of small requests over src/net, beside bare TCP and gRPC, in one run.
//
//   cmake --build --preset release --target net_bench && build/release/bench/net_bench [seconds per figure]
//
// Client and server are two threads (gRPC: as many as it likes) of one process, on the loopback device;
// requests and replies are 64 bytes. CPU is that of both ends, system calls included, by request.
#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

#include "bench/echo.grpc.pb.h"
#include "net/blocking_client.h"
#include "net/listener.h"
#include "net/server.h"
#include "test/support/certificates.h"

namespace {

using namespace curvefs;
using namespace std::chrono_literals;
using bench::Bytes;
using bench::Echo;

constexpr size_t kSize = 64;
constexpr int kOutstanding = 64;
constexpr net::FrameType kEcho = 256;
double seconds = 2;

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
double Cpu() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  auto of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return of(use.ru_utime) + of(use.ru_stime);
}
void Require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "net_bench: %s\n", what);
  std::exit(1);
}

// One at a time: `call` makes a request and waits for its reply.
void Latency(const char* name, const std::function<void()>& call) {
  for (int i = 0; i < 500; ++i) call();
  std::vector<double> times;
  const double begin = Now(), cpu = Cpu();
  while (Now() - begin < seconds) {
    const double t = Now();
    call();
    times.push_back(Now() - t);
  }
  const double used = Cpu() - cpu;
  std::sort(times.begin(), times.end());
  auto at = [&](double p) {
    return times[static_cast<size_t>(p * static_cast<double>(times.size() - 1))] * 1e6;
  };
  std::printf("%-34s 1 outstanding:  p50 %6.1f µs  p99 %6.1f µs  %5.1f µs CPU\n", name, at(0.5), at(0.99),
              used / static_cast<double>(times.size()) * 1e6);
  std::fflush(stdout);
}

// `done` counts replies; `work` keeps kOutstanding requests going until told to stop.
void Throughput(const char* name, std::atomic<uint64_t>& done,
                const std::function<void(std::atomic<bool>&)>& work) {
  std::atomic<bool> stop = false;
  std::thread worker([&] { work(stop); });
  while (done < 1000) std::this_thread::yield();
  const double begin = Now(), cpu = Cpu();
  const uint64_t first = done;
  while (Now() - begin < seconds) std::this_thread::sleep_for(10ms);
  const double took = Now() - begin, used = Cpu() - cpu;
  const auto n = static_cast<double>(done - first);
  stop = true;
  worker.join();
  std::printf("%-34s %d outstanding: %8.0f per second  %5.1f µs CPU\n", name, kOutstanding, n / took,
              used / n * 1e6);
  std::fflush(stdout);
}

// ---- Bare TCP: what the machine gives

void ReadAll(int fd, char* out, size_t n) {
  while (n > 0) {
    const ssize_t r = recv(fd, out, n, 0);
    if (r <= 0) return;
    out += r;
    n -= static_cast<size_t>(r);
  }
}

void BenchTcp() {
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  Require(bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0 && listen(listener, 1) == 0,
          "no socket");
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  int one = 1;
  std::thread server([&] {
    int fd = accept(listener, nullptr, nullptr);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    char buffer[kSize];
    while (recv(fd, buffer, kSize, MSG_WAITALL) == static_cast<ssize_t>(kSize))
      (void)!send(fd, buffer, kSize, 0);
    close(fd);
  });
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  Require(connect(fd, reinterpret_cast<sockaddr*>(&address), size) == 0, "no connection");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  char buffer[kSize] = {};
  Latency("TCP, bare, blocking", [&] {
    (void)!send(fd, buffer, kSize, 0);
    ReadAll(fd, buffer, kSize);
  });
  shutdown(fd, SHUT_RDWR);
  server.join();
  close(fd);
  close(listener);
}

// ---- src/net

struct NetServer {
  explicit NetServer(std::shared_ptr<net::TlsContext> tls)
      : server({.request = [](net::Session&, const net::Request& r, net::Reply reply) {
          reply(std::string(r.bytes));
        }}) {
    net::ListenerOptions options{.address = {"127.0.0.1", 0}};
    options.connection.tls = std::move(tls);
    auto opened =
        net::Listener::Open(loop, options, {.connected = [this](net::ConnectionPtr c) { server.Adopt(c); }});
    Require(opened.has_value(), "cannot listen");
    listener = *std::move(opened);
    thread = std::thread([this] { loop.Run(); });
  }
  ~NetServer() {
    loop.Stop();
    thread.join();
  }
  net::ClientOptions Options(const std::shared_ptr<net::TlsContext>& tls) const {
    net::ClientOptions options;
    options.dialer.address = listener->address();
    options.dialer.connection.tls = tls;
    return options;
  }
  net::AsioLoop loop;
  net::Server server;
  std::unique_ptr<net::Listener> listener;
  std::thread thread;
};

void BenchNet(const char* name, const std::shared_ptr<net::TlsContext>& tls) {
  NetServer server(tls);
  auto label = [&](const char* what) { return std::string(name) + what; };
  for (auto shape : {net::BlockingClient::Shape::kCallerRuns, net::BlockingClient::Shape::kOwnThread}) {
    net::BlockingClient client(server.Options(tls), {}, shape);
    const bool caller = shape == net::BlockingClient::Shape::kCallerRuns;
    Latency(label(caller ? ", the caller drives" : ", an own thread drives").c_str(),
            [&] { Require(client.Call(kEcho, std::string(kSize, 'x'), 10s).has_value(), "a call failed"); });
  }
  {
    net::AsioLoop loop;
    net::Client client(loop, server.Options(tls));
    Latency(label(", callbacks on a loop").c_str(), [&] {
      bool done = false;
      client.Call(kEcho, std::string(kSize, 'x'), 10s, [&](Result<std::string> r) { done = r.has_value(); });
      Require(loop.RunUntil([&] { return done; }, 10s), "a call failed");
    });
  }
  std::atomic<uint64_t> done = 0;
  Throughput(label(", callbacks on a loop").c_str(), done, [&](std::atomic<bool>& stop) {
    net::AsioLoop loop;
    net::Client client(loop, server.Options(tls));
    std::function<void(Result<std::string>)> next = [&](Result<std::string> r) {
      if (!r.has_value()) return;
      ++done;
      if (!stop) client.Call(kEcho, std::string(kSize, 'x'), 10s, next);
    };
    for (int i = 0; i < kOutstanding; ++i) client.Call(kEcho, std::string(kSize, 'x'), 10s, next);
    loop.RunUntil([&] { return stop.load(); }, 60s);
    loop.RunUntil([] { return false; }, 50ms);
  });
}

// ---- gRPC

class EchoService final : public Echo::Service {
  grpc::Status Unary(grpc::ServerContext*, const Bytes* request, Bytes* reply) override {
    *reply = *request;
    return grpc::Status::OK;
  }
  grpc::Status Stream(grpc::ServerContext*, grpc::ServerReaderWriter<Bytes, Bytes>* stream) override {
    Bytes bytes;
    while (stream->Read(&bytes)) stream->Write(bytes);
    return grpc::Status::OK;
  }
};

void BenchGrpc() {
  EchoService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  auto server = builder.BuildAndStart();
  auto stub = Echo::NewStub(
      grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
  Bytes request;
  request.set_data(std::string(kSize, 'x'));
  Latency("gRPC, unary", [&] {
    grpc::ClientContext context;
    Bytes reply;
    Require(stub->Unary(&context, request, &reply).ok(), "gRPC failed");
  });
  {
    grpc::ClientContext context;
    auto stream = stub->Stream(&context);
    Bytes reply;
    Latency("gRPC, stream", [&] { Require(stream->Write(request) && stream->Read(&reply), "gRPC failed"); });
    stream->WritesDone();
    (void)stream->Finish();
  }
  std::atomic<uint64_t> done = 0;
  Throughput("gRPC, unary, asynchronous", done, [&](std::atomic<bool>& stop) {
    struct Call {
      grpc::ClientContext context;
      Bytes reply;
      grpc::Status status;
      std::unique_ptr<grpc::ClientAsyncResponseReader<Bytes>> reader;
    };
    grpc::CompletionQueue queue;
    int open = 0;
    auto start = [&] {
      auto* call = new Call;
      call->reader = stub->AsyncUnary(&call->context, request, &queue);
      call->reader->Finish(&call->reply, &call->status, call);
      ++open;
    };
    for (int i = 0; i < kOutstanding; ++i) start();
    void* tag = nullptr;
    bool ok = false;
    while (open > 0 && queue.Next(&tag, &ok)) {
      delete static_cast<Call*>(tag);
      --open;
      ++done;
      if (!stop) start();
    }
  });
  done = 0;
  Throughput("gRPC, stream", done, [&](std::atomic<bool>& stop) {
    grpc::ClientContext context;
    auto stream = stub->Stream(&context);
    std::atomic<int> window = kOutstanding;
    std::thread writer([&] {
      while (!stop) {
        window.wait(0);
        --window;
        stream->Write(request);
      }
      stream->WritesDone();
    });
    Bytes reply;
    while (stream->Read(&reply)) {
      ++done;
      ++window;
      window.notify_one();
    }
    writer.join();
    (void)stream->Finish();
  });
  server->Shutdown();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) seconds = std::atof(argv[1]);
  BenchTcp();
  BenchNet("src/net", nullptr);
  char directory[] = "/tmp/net-bench-XXXXXX";
  Require(mkdtemp(directory) != nullptr, "no directory for certificates");
  test::Authority authority(directory, "bench");
  auto tls = net::TlsContext::Load(authority.Issue("127.0.0.1"));
  Require(tls.has_value(), "no TLS");
  BenchNet("src/net, TLS", *tls);
  BenchGrpc();
  return 0;
}
