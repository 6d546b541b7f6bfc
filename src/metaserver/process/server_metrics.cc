// MetaServer::MetricsText: what the process and its copysets measure, for Prometheus.
#include <memory>
#include <string>
#include <vector>

#include "metaserver/process/server.h"

namespace curvefs::metaserver {

std::string MetaServer::MetricsText() {
  struct Row {
    std::string id;
    raft::GroupStatus status;
    uint64_t pairs, bytes, log_bytes;
    size_t sessions, open_files;
    std::shared_ptr<const CopysetMeters> meters;  // the copyset may be deleted meanwhile
    std::shared_ptr<const TimeHistogram> apply;
  };
  struct LoopRow {
    uint64_t copysets = 0, runs = 0, syncs = 0;
  };
  std::vector<Row> rows;
  std::vector<LoopRow> loops(loops_.size());
  Mutex mu;  // loops run side by side
  OnEveryLoop([&](CopysetLoop& loop) {
    const MutexLock lock(mu);
    loops[loop.number()] = {loop.copysets().size(), loop.host().runs(), loop.host().syncs()};
    for (const auto& [id, held] : loop.copysets()) {
      const kv::StoreStats store = held->copyset->store().stats();
      rows.push_back({std::to_string(id.value), held->group->status(), store.pairs, store.memory_bytes,
                      LogBytes(id), held->copyset->session_count(), held->copyset->open_files(), held->meters,
                      held->copyset->apply_times()});
    }
  });

  curvefs::MetricsText out;
  const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(Clock::System().Steady() - started_);
  out.Add("curvefs_metaserver_id", "gauge", "The id of this metaserver.", id());
  out.Add("curvefs_uptime_seconds", "gauge", "Since the process began.",
          static_cast<uint64_t>(uptime.count()));
  out.Add("curvefs_sessions", "gauge", "Connections of clients.", server_->sessions());
  out.Begin("curvefs_loop_copysets", "gauge", "Copysets that live on a loop.");
  for (size_t i = 0; i < loops.size(); ++i) out.Sample({{"loop", std::to_string(i)}}, loops[i].copysets);
  out.Begin("curvefs_loop_engine_runs_total", "counter",
            "Runs of the Raft engine, each for all copysets of a loop.");
  for (size_t i = 0; i < loops.size(); ++i) out.Sample({{"loop", std::to_string(i)}}, loops[i].runs);
  out.Begin("curvefs_loop_sync_requests_total", "counter",
            "How often a loop asked for its log to be made durable.");
  for (size_t i = 0; i < loops.size(); ++i) out.Sample({{"loop", std::to_string(i)}}, loops[i].syncs);

  const kv::JournalStats log = log_->stats();
  out.BeginHistogram("curvefs_log_sync_seconds", "Time of a sync of the log, for all who waited.");
  out.Sample({}, sync_->times());
  out.Add("curvefs_log_disk_bytes", "gauge", "Size of the log's files.", log.disk_bytes);
  out.Add("curvefs_log_appended_bytes_total", "counter", "Bytes appended to the log.", log.appended_bytes);
  out.Add("curvefs_log_buffered_bytes", "gauge", "Bytes of the log that wait to be written.",
          log.buffered_bytes);
  out.Add("curvefs_log_failures_total", "counter", "Writes or syncs of the log that failed.", log.failures);
  out.Add("curvefs_log_rewritten_bytes_total", "counter",
          "Bytes of quiet copysets copied to free a file of the log.", log_->rewritten_bytes());

  const raft::NetTransportCounters net = transport_->counters();
  out.Add("curvefs_peer_messages_sent_total", "counter", "Raft messages to other metaservers.",
          net.messages_out);
  out.Add("curvefs_peer_messages_received_total", "counter", "Raft messages from other metaservers.",
          net.messages_in);
  out.Add("curvefs_peer_frames_sent_total", "counter", "Frames that those were packed into.", net.frames_out);
  out.Add("curvefs_peer_sent_bytes_total", "counter", "Bytes of those.", net.bytes_out);
  out.Add("curvefs_peer_received_bytes_total", "counter", "Bytes from other metaservers.", net.bytes_in);
  out.Add("curvefs_peer_dropped_total", "counter", "Raft messages without a connection, a way or room.",
          net.dropped);

  out.BeginHistogram("curvefs_request_seconds", "From a request to its answer.");
  for (size_t i = 0; i < method_times_.size(); ++i) {
    if (method_times_[i].count() > 0)
      out.Sample({{"method", std::string(MetaMethods()[i].name)}}, method_times_[i]);
  }

  auto gauge = [&](std::string_view name, std::string_view help, auto value) {
    out.Begin(name, "gauge", help);
    for (const Row& row : rows) out.Sample({{"copyset", row.id}}, static_cast<uint64_t>(value(row)));
  };
  gauge("curvefs_copyset_term", "Raft term.", [](const Row& r) { return r.status.term; });
  gauge("curvefs_copyset_leads", "1 where the replica leads.", [](const Row& r) { return r.status.leads; });
  gauge("curvefs_copyset_leader", "The replica that leads; 0: none is known.",
        [](const Row& r) { return r.status.leader.value; });
  gauge("curvefs_copyset_commit_index", "What is known to be on a majority.",
        [](const Row& r) { return r.status.commit; });
  gauge("curvefs_copyset_applied_index", "What is in the state.",
        [](const Row& r) { return r.status.applied; });
  gauge("curvefs_copyset_last_index", "The end of the log.", [](const Row& r) { return r.status.last; });
  gauge("curvefs_copyset_snapshot_index", "What is in the snapshot.",
        [](const Row& r) { return r.status.snapshot; });
  gauge("curvefs_copyset_log_bytes", "Payload of the entries in the log.",
        [](const Row& r) { return r.log_bytes; });
  gauge("curvefs_copyset_pairs", "Keys of the state.", [](const Row& r) { return r.pairs; });
  gauge("curvefs_copyset_state_bytes", "Memory of the state.", [](const Row& r) { return r.bytes; });
  gauge("curvefs_copyset_queued_changes", "Changes without an outcome.",
        [](const Row& r) { return r.status.proposals; });
  gauge("curvefs_copyset_queued_reads", "Reads without an outcome.",
        [](const Row& r) { return r.status.reads; });
  gauge("curvefs_copyset_sending_snapshots", "Replicas that are being sent the snapshot.",
        [](const Row& r) { return r.status.sending_snapshots; });
  gauge("curvefs_copyset_stopped", "1 where the replica has stopped for a failure; the log says which.",
        [](const Row& r) { return !r.status.failure.ok(); });
  gauge("curvefs_copyset_asleep", "1 where nothing happens, and the replica neither ticks nor sends.",
        [](const Row& r) { return r.status.asleep; });
  gauge("curvefs_copyset_voters", "Members that vote.",
        [](const Row& r) { return r.status.members.voters.size(); });
  gauge("curvefs_copyset_learners", "Members that do not vote.",
        [](const Row& r) { return r.status.members.learners.size(); });
  gauge("curvefs_copyset_sessions", "Sessions of clients, where the replica leads.",
        [](const Row& r) { return r.sessions; });
  gauge("curvefs_copyset_open_files", "Files that sessions have open, where the replica leads.",
        [](const Row& r) { return r.open_files; });
  auto counter = [&](std::string_view name, std::string_view help, auto value) {
    out.Begin(name, "counter", help);
    for (const Row& row : rows) out.Sample({{"copyset", row.id}}, static_cast<uint64_t>(value(row)));
  };
  counter("curvefs_copyset_lease_reads_total", "Reads that the leader answered by its lease.",
          [](const Row& r) { return r.status.lease_reads; });
  counter("curvefs_copyset_read_rounds_total", "Rounds of messages in which a majority confirmed the leader.",
          [](const Row& r) { return r.status.read_rounds; });
  out.BeginHistogram("curvefs_copyset_commit_seconds", "From a change's request to its answer.");
  for (const Row& row : rows) {
    if (row.meters->changes.count() > 0) out.Sample({{"copyset", row.id}}, row.meters->changes);
  }
  out.BeginHistogram("curvefs_copyset_apply_seconds",
                     "Time to bring committed changes into the state, each time there were some.");
  for (const Row& row : rows) {
    if (row.apply->count() > 0) out.Sample({{"copyset", row.id}}, *row.apply);
  }
  out.BeginHistogram("curvefs_copyset_read_seconds", "From a read's request to its answer.");
  for (const Row& row : rows) {
    if (row.meters->reads.count() > 0) out.Sample({{"copyset", row.id}}, row.meters->reads);
  }
  return out.text();
}

}  // namespace curvefs::metaserver
