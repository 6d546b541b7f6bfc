// s3_test_server [--port N] [--access-key K] [--secret-key K] [--region R] [--bucket B] [--slow-down SHARE]
// [--reset SHARE]: the S3 server of the tests as a process. Prints its endpoint and serves until SIGTERM.
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>

#include "test/support/s3_server.h"

int main(int argc, char** argv) {
  using curvefs::test::S3Fault;
  curvefs::test::S3ServerOptions options;
  double slow_down = 0, reset = 0;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i], value = argv[i + 1];
    if (flag == "--port") {
      options.port = static_cast<uint16_t>(std::strtoul(value.c_str(), nullptr, 10));
    } else if (flag == "--access-key") {
      options.access_key = value;
    } else if (flag == "--secret-key") {
      options.secret_key = value;
    } else if (flag == "--region") {
      options.region = value;
    } else if (flag == "--bucket") {
      options.buckets = {value};
    } else if (flag == "--slow-down") {
      slow_down = std::strtod(value.c_str(), nullptr);
    } else if (flag == "--reset") {
      reset = std::strtod(value.c_str(), nullptr);
    } else {
      std::fprintf(stderr, "s3_test_server: no flag '%s'\n", flag.c_str());
      return 2;
    }
  }
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  sigaddset(&end, SIGINT);
  pthread_sigmask(SIG_BLOCK, &end, nullptr);
  signal(SIGPIPE, SIG_IGN);
  curvefs::test::S3Server server(options);
  constexpr uint64_t kAlways = std::numeric_limits<uint64_t>::max();
  if (slow_down > 0) server.Inject({.kind = S3Fault::Kind::kSlowDown, .count = kAlways, .share = slow_down});
  if (reset > 0) server.Inject({.kind = S3Fault::Kind::kReset, .count = kAlways, .share = reset});
  std::printf("%s\n", server.endpoint().c_str());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&end, &signal);
  return 0;
}
