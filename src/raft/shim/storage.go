package main

import (
	"go.etcd.io/etcd/raft"
	pb "go.etcd.io/etcd/raft/raftpb"
)

// entry is all that the engine needs to know of a durable log entry. Its payload, and the entry itself, are in the
// log store of the C++ side. No pointers, so the garbage collector has nothing to look at (rule 6).
type entry struct {
	term uint64
	size uint32
	kind uint8 // pb.EntryType
}

// entryOverhead is what an entry costs on the wire beside its payload, for limits in bytes.
const entryOverhead = 24

// storage is the engine's view of the durable log: what the C++ side has made durable and reported by "advance".
type storage struct {
	base     uint64 // entries up to here are gone; entries[i] is the entry base+1+i
	baseTerm uint64
	entries  []entry

	hard pb.HardState // as of the start; the engine asks once
	conf pb.ConfState // as of the applied index at the start

	snap    pb.SnapshotMetadata // the newest snapshot of the state machine
	minSnap uint64              // an older snapshot does not know the newest replica (rule 3)
	wanted  bool                // the engine asked for a snapshot newer than there is
}

func (s *storage) InitialState() (pb.HardState, pb.ConfState, error) { return s.hard, s.conf, nil }
func (s *storage) FirstIndex() (uint64, error)                       { return s.base + 1, nil }
func (s *storage) LastIndex() (uint64, error)                        { return s.base + uint64(len(s.entries)), nil }

func (s *storage) Term(i uint64) (uint64, error) {
	switch {
	case i < s.base:
		return 0, raft.ErrCompacted
	case i == s.base:
		return s.baseTerm, nil
	case i > s.base+uint64(len(s.entries)):
		return 0, raft.ErrUnavailable
	}
	return s.entries[i-s.base-1].term, nil
}

// Entries limits by the true size of the payloads, which the engine does not see.
func (s *storage) Entries(lo, hi, maxSize uint64) ([]pb.Entry, error) {
	if lo <= s.base {
		return nil, raft.ErrCompacted
	}
	if hi > s.base+uint64(len(s.entries))+1 {
		return nil, raft.ErrUnavailable
	}
	var size uint64
	n := uint64(0)
	for ; lo+n < hi; n++ {
		size += uint64(s.entries[lo+n-s.base-1].size) + entryOverhead
		if n > 0 && size > maxSize {
			break
		}
	}
	out := make([]pb.Entry, n)
	for i := range out {
		e := s.entries[lo+uint64(i)-s.base-1]
		out[i] = pb.Entry{Term: e.term, Index: lo + uint64(i), Type: pb.EntryType(e.kind)}
	}
	return out, nil
}

// Snapshot hands out the metadata only; the C++ side streams the state itself. Rule 3: a replica that was added after
// the snapshot was taken would refuse it, so a newer one is asked for instead.
func (s *storage) Snapshot() (pb.Snapshot, error) {
	if s.snap.Index == 0 || s.snap.Index < s.minSnap || s.snap.Index < s.base {
		s.wanted = true
		return pb.Snapshot{}, raft.ErrSnapshotTemporarilyUnavailable
	}
	return pb.Snapshot{Metadata: s.snap}, nil
}

// append takes over entries that are durable now; they replace what is there from their first index on.
func (s *storage) append(ents []pb.Entry) {
	for i := range ents {
		at := ents[i].Index - s.base - 1
		if i == 0 {
			s.entries = s.entries[:at]
		}
		_, size := payloadOf(&ents[i])
		s.entries = append(s.entries, entry{ents[i].Term, size, uint8(ents[i].Type)})
	}
}

// reset: an installed snapshot replaces the log.
func (s *storage) reset(meta pb.SnapshotMetadata) {
	s.base, s.baseTerm, s.entries, s.snap = meta.Index, meta.Term, nil, meta
}

// compact forgets the entries up to index, which is at most the newest snapshot's.
func (s *storage) compact(index uint64) {
	if index <= s.base || index > s.base+uint64(len(s.entries)) {
		return
	}
	n := index - s.base
	s.baseTerm = s.entries[n-1].term
	s.entries = append([]entry(nil), s.entries[n:]...)
	s.base = index
}
