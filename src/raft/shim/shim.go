// The shim between CurveFS and etcd's Raft: a C ABI of five functions, over which a thread of C++ drives any number of
// Raft groups. It decides nothing: it carries inputs to the engine and what comes out of it back. It starts no
// goroutine (but for StartThread), does no I/O, reads no clock.
//
// One call, Run, carries a list of commands for many groups in, and one result for each group that was touched out: a
// crossing from a C++ thread costs microseconds, so there is one per round of the loop, not one per message (rule 6). The
// buffers are the caller's; no pointer of either side outlives a call.
//
// The commands and results are described at the other end, in src/raft/etcd/etcd_engine.cc.
package main

/*
#include <stdint.h>
typedef void (*curvefs_raft_main)(void*);
static inline void curvefs_raft_call(curvefs_raft_main f, void* arg) { f(arg); }
*/
import "C"

import (
	"fmt"
	"math/rand"
	"runtime"
	"sync"
	"unsafe"

	"go.etcd.io/etcd/raft"
	pb "go.etcd.io/etcd/raft/raftpb"
)

const (
	opCreate = iota + 1
	opRemove
	opTick
	opStep
	opPropose
	opProposeChange
	opReadIndex
	opCampaign
	opTransfer
	opUnreachable
	opSnapshotStatus
	opApplyChange
	opSnapshotMade
	opCompact
	opAdvance
	opProgress
	opPanic // for the test of rule 8
)

const (
	flagPanic = 1 << iota
	flagReady
	flagWantsSnapshot
	flagConf
	flagProgress
)

// group is one Raft group of one replica.
type group struct {
	id       uint64
	node     *raft.RawNode
	store    storage
	ready    *raft.Ready // handed out and not advanced
	broken   string      // why the engine panicked; the group takes no more input
	touched  bool
	dropped  []uint64 // handles of proposals that the engine did not take; the rest of this Run follows them
	conf     *pb.ConfState
	progress bool
}

// engine is the groups of one thread. Not safe for concurrent use; engines are independent of one another.
type engine struct {
	groups  map[uint64]*group
	touched []*group
	pending []byte // a result that did not fit into the caller's buffer
}

var (
	engines sync.Map // number -> *engine
	mu      sync.Mutex
	last    uint64
)

//export CurvefsRaftOpen
func CurvefsRaftOpen() C.uint64_t {
	mu.Lock()
	defer mu.Unlock()
	last++
	engines.Store(last, &engine{groups: map[uint64]*group{}})
	return C.uint64_t(last)
}

//export CurvefsRaftClose
func CurvefsRaftClose(number C.uint64_t) { engines.Delete(uint64(number)) }

// CurvefsRaftRun carries out the n bytes of commands at in, and puts the results at out. It returns their length; if that
// is more than room, nothing was put, and Fetch gets them.
//
//export CurvefsRaftRun
func CurvefsRaftRun(number C.uint64_t, in *C.char, n C.int64_t, out *C.char, room C.int64_t) C.int64_t {
	found, _ := engines.Load(uint64(number))
	e := found.(*engine)
	r := reader{b: unsafe.Slice((*byte)(unsafe.Pointer(in)), int(n))}
	for r.more() {
		e.command(&r)
	}
	w := writer{b: unsafe.Slice((*byte)(unsafe.Pointer(out)), int(room))[:0]}
	for _, g := range e.touched {
		g.touched = false
		if e.groups[g.id] == g {
			g.result(&w)
		}
	}
	e.touched = e.touched[:0]
	if len(w.b) > int(room) {
		e.pending = w.b // append moved it to Go's memory
	}
	return C.int64_t(len(w.b))
}

// CurvefsRaftFetch copies the results that did not fit; room is their length.
//
//export CurvefsRaftFetch
func CurvefsRaftFetch(number C.uint64_t, out *C.char, room C.int64_t) {
	found, _ := engines.Load(uint64(number))
	e := found.(*engine)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(out)), int(room)), e.pending)
	e.pending = nil
}

// The engine draws its election timeouts from a generator of its own that it seeds by the time of day. A simulation must
// own it (rule 4).
//
//go:linkname globalRand go.etcd.io/etcd/raft.globalRand
var globalRand unsafe.Pointer // to a lockedRand

type lockedRand struct { // as in the engine
	mu   sync.Mutex
	rand *rand.Rand
}

//export CurvefsRaftSeed
func CurvefsRaftSeed(seed C.int64_t) {
	r := (*lockedRand)(globalRand)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rand = rand.New(rand.NewSource(int64(seed)))
}

// CurvefsRaftStartThread runs f(arg) on a new thread that Go owns: Run costs a tenth there of what it costs on a thread
// that C++ started (rule 6).
//
//export CurvefsRaftStartThread
func CurvefsRaftStartThread(f C.curvefs_raft_main, arg unsafe.Pointer) {
	go func() {
		runtime.LockOSThread()
		C.curvefs_raft_call(f, arg)
	}()
}

func (e *engine) command(r *reader) {
	op, id := r.u8(), r.u64()
	length := int(r.u32())
	args := reader{b: r.b[r.at : r.at+length]}
	r.at += length
	if op == opRemove {
		delete(e.groups, id)
		return
	}
	g := e.groups[id]
	if op == opCreate {
		g = &group{id: id}
		e.groups[id] = g
	}
	if g == nil {
		return
	}
	if !g.touched {
		g.touched = true
		e.touched = append(e.touched, g)
	}
	if g.broken != "" {
		return
	}
	// Rule 8: a panic of the engine stops its group, not the process.
	defer func() {
		if cause := recover(); cause != nil {
			g.broken = fmt.Sprint(cause)
		}
	}()
	g.command(op, &args)
}

func (g *group) command(op uint8, r *reader) {
	switch op {
	case opCreate:
		g.create(r)
	case opTick:
		g.node.Tick()
	case opStep:
		m := r.message()
		if m.Type == pb.MsgSnap && g.ready != nil {
			panic("a snapshot was stepped while a Ready is outstanding") // rule 2
		}
		_ = g.node.Step(m) // an error means that the message was ignored
	case opPropose:
		handle, size := r.u64(), r.u32()
		// A later proposal may rest on one that was dropped. C++ learns of it with this Run's result.
		if len(g.dropped) > 0 || g.node.Propose(makeData(pb.EntryNormal, handle, size, pb.ConfChange{})) != nil {
			g.dropped = append(g.dropped, handle)
		}
	case opProposeChange:
		handle, size := r.u64(), r.u32()
		// Rule 3: always V1. A V2 change may go through a joint configuration, which 3.4.23 cannot leave safely.
		change := pb.ConfChange{Type: pb.ConfChangeType(r.u8()), NodeID: r.u64()}
		err := g.node.Step(pb.Message{Type: pb.MsgProp, Entries: []pb.Entry{
			{Type: pb.EntryConfChange, Data: makeData(pb.EntryConfChange, handle, size, change)}}})
		if err != nil {
			g.dropped = append(g.dropped, handle)
		}
	case opReadIndex:
		// A follower would pass the question on to its leader, in a message of a kind that we do not send. The C++ side
		// asks only a leader, but that may have been deposed by a message before this command in the same Run.
		if context := r.bytes(); g.leads() {
			g.node.ReadIndex(context)
		}
	case opCampaign:
		_ = g.node.Campaign()
	case opTransfer:
		if to := r.u64(); g.leads() { // as with opReadIndex
			g.node.TransferLeader(to)
		}
	case opUnreachable:
		g.node.ReportUnreachable(r.u64())
	case opSnapshotStatus:
		peer, status := r.u64(), raft.SnapshotFinish
		if r.u8() == 0 {
			status = raft.SnapshotFailure
		}
		g.node.ReportSnapshot(peer, status)
	case opApplyChange:
		index := r.u64()
		change := pb.ConfChange{Type: pb.ConfChangeType(r.u8()), NodeID: r.u64()}
		if change.Type == pb.ConfChangeAddLearnerNode || change.Type == pb.ConfChangeAddNode {
			g.store.minSnap = index // rule 3
		}
		g.conf = g.node.ApplyConfChange(change)
	case opSnapshotMade:
		if meta := r.meta(); meta.Index > g.store.snap.Index {
			g.store.snap = meta
		}
	case opCompact:
		g.store.compact(r.u64())
	case opAdvance:
		g.advance()
	case opProgress:
		g.progress = true
	case opPanic:
		panic("asked to")
	}
}

func (g *group) leads() bool { return g.node.BasicStatus().RaftState == raft.StateLeader }

func (g *group) create(r *reader) {
	config := raft.Config{
		ID:              r.u64(),
		ElectionTick:    int(r.u32()),
		HeartbeatTick:   int(r.u32()),
		MaxSizePerMsg:   r.u64(),
		MaxInflightMsgs: int(r.u32()),
		Storage:         &g.store,
		Applied:         r.u64(),
		// Rule 4.
		CheckQuorum: true,
		PreVote:     true,
		// Rule 5.
		ReadOnlyOption: raft.ReadOnlySafe,
		// A proposal is evaluated against the leader's state, so it is worth nothing elsewhere.
		DisableProposalForwarding: true,
		Logger:                    quiet{},
	}
	s := &g.store
	s.hard = pb.HardState{Term: r.u64(), Vote: r.u64(), Commit: r.u64()}
	s.conf = r.conf()
	s.snap = r.meta()
	s.minSnap = r.u64()
	s.base, s.baseTerm = r.u64(), r.u64()
	n := int(r.u32())
	s.entries = make([]entry, n)
	for i := range s.entries {
		s.entries[i] = entry{term: r.u64(), size: r.u32(), kind: r.u8()}
	}
	node, err := raft.NewRawNode(&config)
	if err != nil {
		panic(err)
	}
	g.node = node
}

// advance: the Ready that was handed out is durable, sent and applied.
func (g *group) advance() {
	if g.ready == nil {
		panic("advance without a Ready")
	}
	rd := *g.ready
	g.ready = nil
	if !raft.IsEmptySnap(rd.Snapshot) {
		g.store.reset(rd.Snapshot.Metadata)
	}
	if len(rd.Entries) > 0 {
		g.store.append(rd.Entries)
	}
	g.node.Advance(rd)
}

// result writes what the group has to say, and takes the next Ready if the last one is done with.
func (g *group) result(w *writer) {
	start := len(w.b)
	if g.broken == "" {
		g.tell(w)
	}
	if g.broken != "" {
		w.b = w.b[:start]
		w.u64(g.id)
		w.u8(flagPanic)
		w.bytes([]byte(g.broken))
	}
}

func (g *group) tell(w *writer) {
	defer func() { // rule 8
		if cause := recover(); cause != nil {
			g.broken = fmt.Sprint(cause)
		}
	}()
	rd := g.takeReady()
	var flags uint8
	if rd != nil {
		flags |= flagReady
	}
	if g.store.wanted {
		flags |= flagWantsSnapshot
	}
	if g.conf != nil {
		flags |= flagConf
	}
	if g.progress {
		flags |= flagProgress
	}
	w.u64(g.id)
	w.u8(flags)
	status := g.node.BasicStatus()
	w.hard(status.HardState)
	w.u64(status.Lead)
	w.u8(uint8(status.RaftState))
	w.u64(status.LeadTransferee)
	w.ids(g.dropped)
	if g.conf != nil {
		w.conf(*g.conf)
	}
	if g.progress {
		g.writeProgress(w)
	}
	if rd != nil {
		writeReady(w, rd)
	}
	g.dropped, g.conf, g.progress, g.store.wanted = g.dropped[:0], nil, false, false
}

func (g *group) takeReady() *raft.Ready {
	if g.ready == nil && g.node.HasReady() {
		taken := g.node.Ready()
		g.ready = &taken
		return g.ready
	}
	return nil
}

func (g *group) writeProgress(w *writer) {
	at := len(w.b)
	w.u32(0)
	n := uint32(0)
	g.node.WithProgress(func(id uint64, _ raft.ProgressType, pr progress) {
		n++
		w.u64(id)
		w.u64(pr.Match)
		w.bool(pr.RecentActive)
	})
	count := writer{b: w.b[at:at]}
	count.u32(n)
}

func writeReady(w *writer, rd *raft.Ready) {
	w.bool(rd.MustSync)
	w.bool(!raft.IsEmptyHardState(rd.HardState))
	w.hard(rd.HardState)
	w.meta(rd.Snapshot.Metadata)
	w.entries(rd.Entries)
	w.entries(rd.CommittedEntries)
	w.u32(uint32(len(rd.Messages)))
	for i := range rd.Messages {
		w.message(&rd.Messages[i])
	}
	w.u32(uint32(len(rd.ReadStates)))
	for _, s := range rd.ReadStates {
		w.bytes(s.RequestCtx)
		w.u64(s.Index)
	}
}

func main() {}
