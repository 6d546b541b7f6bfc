package main

import (
	"fmt"

	"go.etcd.io/etcd/raft/tracker"
)

type progress = tracker.Progress

// quiet is the engine's logger: what it tells is in Ready and status too, but for the broken invariants, which it
// reports by Panic and Fatal. Both become panics, which the shim catches (rule 8).
type quiet struct{}

func (quiet) Debug(...interface{})            {}
func (quiet) Debugf(string, ...interface{})   {}
func (quiet) Info(...interface{})             {}
func (quiet) Infof(string, ...interface{})    {}
func (quiet) Warning(...interface{})          {}
func (quiet) Warningf(string, ...interface{}) {}
func (quiet) Error(...interface{})            {}
func (quiet) Errorf(string, ...interface{})   {}

func (quiet) Fatal(v ...interface{})                 { panic(fmt.Sprint(v...)) }
func (quiet) Fatalf(format string, v ...interface{}) { panic(fmt.Sprintf(format, v...)) }
func (quiet) Panic(v ...interface{})                 { panic(fmt.Sprint(v...)) }
func (quiet) Panicf(format string, v ...interface{}) { panic(fmt.Sprintf(format, v...)) }
