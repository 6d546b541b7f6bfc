// A network of its own for a test: a bridge in a network namespace, and nodes, each in a namespace behind a
// pair of veth. Links are cut silently, as a pulled cable or a filter would: nobody is told anything. All of
// it, mounts included, belongs to the process, and goes with it however it ends.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace curvefs::test {

class Network {
 public:
  // Takes the process into namespaces of its own (net and mount). Before any thread begins, once. What was
  // not possible, and why; empty: it is there.
  static std::string Enter();

  explicit Network(size_t nodes);  // up to 200; one network at a time. CHECKs that it can be made
  ~Network();                      // the processes on it have ended

  // Of a node, as the process itself (which sits at the bridge) and the others reach it.
  static std::string Address(size_t node) { return "10.99.0." + std::to_string(10 + node); }
  // What runs a command line on the node: to be put before it.
  static std::vector<std::string> On(size_t node);

  // The cable: nothing comes from the node or gets there.
  void Pull(size_t node);
  // What `from` sends to `to` is lost, from now on; the other way is as it was.
  void Lose(size_t from, size_t to);
  void LoseBoth(size_t a, size_t b);
  void Mend();  // all of it

 private:
  size_t nodes_;
  std::vector<size_t> pulled_;
  std::vector<std::pair<size_t, size_t>> lost_;
};

}  // namespace curvefs::test
