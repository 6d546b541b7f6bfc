package main

import (
	"encoding/binary"

	pb "go.etcd.io/etcd/raft/raftpb"
)

// The bytes between C++ and Go: fixed-width little-endian integers, byte strings with a length in front. The other
// side is src/raft/etcd/etcd_engine.cc. Both sides are always built together, so there is no version. Input that
// is cut short panics, which stops the group.

type reader struct {
	b  []byte
	at int
}

func (r *reader) more() bool { return r.at < len(r.b) }
func (r *reader) u8() uint8 {
	r.at++
	return r.b[r.at-1]
}
func (r *reader) u32() uint32 {
	r.at += 4
	return binary.LittleEndian.Uint32(r.b[r.at-4:])
}
func (r *reader) u64() uint64 {
	r.at += 8
	return binary.LittleEndian.Uint64(r.b[r.at-8:])
}

// bytes copies: the input is the caller's buffer, and the engine keeps what it is given.
func (r *reader) bytes() []byte {
	n := int(r.u32())
	if n == 0 {
		return nil
	}
	r.at += n
	return append([]byte(nil), r.b[r.at-n:r.at]...)
}
func (r *reader) ids() []uint64 {
	n := int(r.u32())
	out := make([]uint64, 0, n)
	for i := 0; i < n; i++ {
		out = append(out, r.u64())
	}
	return out
}
func (r *reader) conf() pb.ConfState { return pb.ConfState{Voters: r.ids(), Learners: r.ids()} }
func (r *reader) meta() pb.SnapshotMetadata {
	m := pb.SnapshotMetadata{Index: r.u64(), Term: r.u64()}
	m.ConfState = r.conf()
	return m
}

type writer struct{ b []byte }

func (w *writer) u8(v uint8) { w.b = append(w.b, v) }
func (w *writer) u32(v uint32) {
	w.b = append(w.b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
}
func (w *writer) u64(v uint64) {
	w.u32(uint32(v))
	w.u32(uint32(v >> 32))
}
func (w *writer) bool(v bool) {
	if v {
		w.u8(1)
	} else {
		w.u8(0)
	}
}
func (w *writer) bytes(b []byte) {
	w.u32(uint32(len(b)))
	w.b = append(w.b, b...)
}
func (w *writer) ids(ids []uint64) {
	w.u32(uint32(len(ids)))
	for _, id := range ids {
		w.u64(id)
	}
}
func (w *writer) conf(c pb.ConfState) {
	w.ids(c.Voters)
	w.ids(c.Learners)
}
func (w *writer) meta(m pb.SnapshotMetadata) {
	w.u64(m.Index)
	w.u64(m.Term)
	w.conf(m.ConfState)
}
func (w *writer) hard(h pb.HardState) {
	w.u64(h.Term)
	w.u64(h.Vote)
	w.u64(h.Commit)
}

// An entry that is not durable yet carries, in place of its payload, the handle under which the C++ side keeps it, and
// the payload's size (rule 6). A change of membership must be a real ConfChange, because the engine looks inside when
// it is proposed; there the handle is its ID and the size its context.
func makeData(kind pb.EntryType, handle uint64, size uint32, change pb.ConfChange) []byte {
	if kind == pb.EntryNormal {
		if handle == 0 {
			return nil
		}
		data := make([]byte, 12)
		binary.LittleEndian.PutUint64(data, handle)
		binary.LittleEndian.PutUint32(data[8:], size)
		return data
	}
	change.ID = handle
	change.Context = binary.LittleEndian.AppendUint32(nil, size)
	data, err := change.Marshal()
	if err != nil {
		panic(err)
	}
	return data
}

// payloadOf returns handle and size; zeros for an entry without payload, and for one that comes from storage.
func payloadOf(e *pb.Entry) (handle uint64, size uint32) {
	if len(e.Data) == 0 {
		return 0, 0
	}
	if e.Type == pb.EntryNormal {
		return binary.LittleEndian.Uint64(e.Data), binary.LittleEndian.Uint32(e.Data[8:])
	}
	var change pb.ConfChange
	if err := change.Unmarshal(e.Data); err != nil {
		panic(err)
	}
	return change.ID, binary.LittleEndian.Uint32(change.Context)
}

// Consecutive entries: the first one's index, their number, then each.
func (w *writer) entries(ents []pb.Entry) {
	w.u32(uint32(len(ents)))
	if len(ents) == 0 {
		return
	}
	w.u64(ents[0].Index)
	for i := range ents {
		handle, size := payloadOf(&ents[i])
		w.u64(ents[i].Term)
		w.u8(uint8(ents[i].Type))
		w.u64(handle)
		w.u32(size)
	}
}
func (r *reader) entries() []pb.Entry {
	n := int(r.u32())
	if n == 0 {
		return nil
	}
	first := r.u64()
	out := make([]pb.Entry, n)
	for i := range out {
		term, kind := r.u64(), pb.EntryType(r.u8())
		handle, size := r.u64(), r.u32()
		out[i] = pb.Entry{Term: term, Index: first + uint64(i), Type: kind, Data: makeData(kind, handle, size, pb.ConfChange{})}
	}
	return out
}

// The kinds of messages that go to peers (raft::IsMessageType). Of others, which pass on what only a leader may be asked,
// the C++ side knows nothing; the shim asks nobody but a leader.
func isSent(t pb.MessageType) bool {
	switch t {
	case pb.MsgApp, pb.MsgAppResp, pb.MsgVote, pb.MsgVoteResp, pb.MsgSnap, pb.MsgHeartbeat, pb.MsgHeartbeatResp,
		pb.MsgTimeoutNow, pb.MsgPreVote, pb.MsgPreVoteResp:
		return true
	}
	return false
}

func (w *writer) message(m *pb.Message) {
	if !isSent(m.Type) {
		panic("the engine wants to send a " + m.Type.String()) // rule 8: it stops the group
	}
	w.u8(uint8(m.Type))
	w.u64(m.To)
	w.u64(m.From)
	w.u64(m.Term)
	w.u64(m.LogTerm)
	w.u64(m.Index)
	w.u64(m.Commit)
	w.bool(m.Reject)
	w.u64(m.RejectHint)
	w.bytes(m.Context)
	w.meta(m.Snapshot.Metadata)
	w.entries(m.Entries)
}
func (r *reader) message() pb.Message {
	m := pb.Message{Type: pb.MessageType(r.u8()), To: r.u64(), From: r.u64(), Term: r.u64(), LogTerm: r.u64()}
	m.Index, m.Commit, m.Reject, m.RejectHint = r.u64(), r.u64(), r.u8() != 0, r.u64()
	m.Context = r.bytes()
	m.Snapshot.Metadata = r.meta()
	m.Entries = r.entries()
	return m
}
