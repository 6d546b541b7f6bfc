#include "test/mds/network.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/status.h"

namespace curvefs::test {
namespace {

constexpr const char* kNamespaces = "/run/netns";
// Of nobody: what is sent there goes over the bridge and is taken by no one.
constexpr const char* kNowhere = "02:00:00:00:00:01";

bool Run(const std::string& command) {
  return std::system((command + " 2>/dev/null").c_str()) == 0;
}
std::string Name(size_t node) {
  return "n" + std::to_string(node);
}
std::string In(size_t node) {
  return "ip -n " + Name(node) + " ";
}

}  // namespace

std::string Network::Enter() {
  if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0)
    return std::string("no namespaces of our own (root is needed): ") + std::strerror(errno);
  // `ip netns` names namespaces by mounts: ours are seen by nobody else.
  ::mkdir(kNamespaces, 0755);
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("curvefs-test", kNamespaces, "tmpfs", 0, nullptr) != 0)
    return std::string("nothing can be mounted: ") + std::strerror(errno);
  if (!Run("ip -V >/dev/null")) return "there is no 'ip' here (Debian: iproute2)";
  if (!Run("ip link set lo up && ip link add probe type bridge && ip link del probe && "
           "ip link add probe0 type veth peer name probe1 && ip link del probe0 && "
           "ip netns add probe && ip netns del probe"))
    return "'ip' makes no bridge, veth or namespace here";
  return "";
}

Network::Network(size_t nodes) : nodes_(nodes) {
  CURVEFS_CHECK(nodes <= 200);
  CURVEFS_CHECK(Run("ip link add hub type bridge && ip addr add 10.99.0.1/24 dev hub && ip link set hub up"));
  for (size_t i = 0; i < nodes; ++i) {
    const std::string port = "port" + std::to_string(i);
    CURVEFS_CHECK(Run("ip netns add " + Name(i) + " && ip link add " + port +
                      " type veth peer name eth0 netns " + Name(i) + " && ip link set " + port +
                      " master hub up && " + In(i) + "link set lo up && " + In(i) + "addr add " + Address(i) +
                      "/24 dev eth0 && " + In(i) + "link set eth0 up"));
  }
}

Network::~Network() {
  for (size_t i = 0; i < nodes_; ++i)
    Run("ip link del port" + std::to_string(i) + "; ip netns del " + Name(i));
  Run("ip link del hub");
}

std::vector<std::string> Network::On(size_t node) {
  return {"ip", "netns", "exec", Name(node)};
}

void Network::Pull(size_t node) {
  CURVEFS_CHECK(Run("ip link set port" + std::to_string(node) + " down"));
  pulled_.push_back(node);
}

void Network::Lose(size_t from, size_t to) {
  CURVEFS_CHECK(
      Run(In(from) + "neigh replace " + Address(to) + " lladdr " + kNowhere + " nud permanent dev eth0"));
  lost_.emplace_back(from, to);
}

void Network::LoseBoth(size_t a, size_t b) {
  Lose(a, b);
  Lose(b, a);
}

void Network::Mend() {
  for (size_t node : std::exchange(pulled_, {}))
    CURVEFS_CHECK(Run("ip link set port" + std::to_string(node) + " up"));
  for (const auto& [from, to] : std::exchange(lost_, {}))
    CURVEFS_CHECK(Run(In(from) + "neigh del " + Address(to) + " dev eth0"));
}

}  // namespace curvefs::test
