package check_test

import (
	"slices"
	"testing"

	"example.com/chat/internal/check"
)

// wipedWorld returns the history of a room whose log Redis loses after five messages of
// a. a gets a reset; b, which was away, learns of it by a join that can't resume. more is
// how many messages the new log holds when b returns.
func wipedWorld(more int) []check.Record {
	w := &world{last: map[string]int{}, conn: map[string]int{"a": 1, "b": 1}}
	w.join("a")
	w.join("b")
	for range 5 {
		w.say("a")
	}
	w.receive("a")
	w.receive("b")
	w.lose("b")
	last := w.head(5)
	w.log, w.last["a"] = nil, 0
	w.add(check.Record{Op: check.OpReset, Client: "a", Conn: 1, Room: lobby})
	w.join("a")
	for range more {
		w.sayAnew("a")
	}
	w.receive("a")
	w.add(check.Record{Op: check.OpJoined, Client: "b", Conn: 2, Room: lobby, After: last, Head: w.head(more), Count: more})
	w.show("b", w.standing())
	w.last["b"] = more
	w.sayAnew("b")
	for _, c := range []string{"a", "b"} {
		w.receive(c)
		w.add(check.Record{Op: check.OpEnd, Client: c, Conn: w.conn[c], Room: lobby})
	}
	for _, e := range w.log {
		w.add(e)
	}
	return w.list
}

// sayAnew sends a message that the new log accepts.
func (w *world) sayAnew(client string) {
	w.keys++
	key := "new" + string(rune('a'+w.keys))
	r := w.send(client, key)
	r.Op, r.Client, r.Conn, r.ID = check.OpLog, "", 0, anew(len(w.log)+1)
	w.log = append(w.log, r)
	w.sent(client, key, r.ID, false)
}

func anew(seq int) string { return "900" + string(rune('0'+seq)) + "-" + string(rune('0'+seq)) }

func TestWhatRedisLostIsNotWhatTheChatBroke(t *testing.T) {
	t.Parallel()
	judge := func(list []check.Record) check.Verdict {
		_, verdict := check.Judge(list)
		return verdict
	}
	if got := judge(good()); got != check.Kept {
		t.Errorf("a good history: %v", got)
	}
	is := func(op check.Op, client string) func(check.Record) bool {
		return func(r check.Record) bool { return r.Op == op && r.Client == client }
	}
	for _, more := range []int{0, 2, 5, 7} { // 5 and more: the head is not behind b's place
		list := wipedWorld(more)
		report, verdict := check.Judge(list)
		if verdict != check.RedisLost || report.Found[check.RuleLost] != 5 || report.Resets != 1 {
			t.Errorf("%d messages later: %v, %v", more, verdict, report.Found)
		}
		onlyB := slices.Clone(list)
		onlyB = slices.DeleteFunc(onlyB, func(r check.Record) bool { return r.Client == "a" && r.Op == check.OpEnd })
		reset := slices.IndexFunc(onlyB, is(check.OpReset, "a"))
		onlyB[reset] = check.Record{At: onlyB[reset].At, Op: check.OpLost, Client: "a", Conn: 1}
		if got := judge(onlyB); got != check.RedisLost {
			t.Errorf("%d messages later, nobody gets a reset: %v", more, got)
		}

		// A missing notice, and any other violation, is the chat's fault.
		for name, broken := range map[string][]check.Record{
			"a gets no notice": slices.DeleteFunc(slices.Clone(list), func(r check.Record) bool {
				return r.Op == check.OpReset || r.Op == check.OpJoined && r.Client == "a" && r.At > 2
			}),
			"the last is lost": list[:len(list)-1],
			"b gets the last twice": func() []check.Record {
				i := slices.IndexFunc(list, is(check.OpEnd, "b"))
				return slices.Insert(slices.Clone(list), i, list[i-1])
			}(),
		} {
			if got := judge(broken); got != check.Broken {
				t.Errorf("%d messages later, %s: %v", more, name, got)
			}
		}
	}
}

// A member that was away too long for the bounded log gets a notice too, and that is no
// sign of a loss: an entry that is missing then is the chat's fault.
func TestATrimmedLogIsNoLossOfRedis(t *testing.T) {
	t.Parallel()
	list := good()
	back := slices.IndexFunc(list, func(r check.Record) bool { return r.Op == check.OpJoined && r.Recovered })
	list = unrecovered(list, back)
	if _, verdict := check.Judge(list); verdict != check.Kept {
		t.Fatalf("a gap with notice: %v", verdict)
	}
	lost := slices.IndexFunc(list, func(r check.Record) bool { return r.Op == check.OpLog && r.Key == "20" })
	if _, verdict := check.Judge(slices.Delete(list, lost, lost+1)); verdict != check.Broken {
		t.Errorf("a gap with notice, and a lost message: %v", verdict)
	}
}

// A seq that Redis gave twice, because it lost the log in between, belongs to two entries.
// The first one decides neither whether the second may have left the log by its bounds,
// nor whether it was deleted.
func TestASeqOfALostLogSaysNothingOfTheNewOne(t *testing.T) {
	t.Parallel()
	history := func(kind string, log []string) []check.Record {
		w := &world{last: map[string]int{}, conn: map[string]int{"a": 1}}
		w.join("a")
		w.say("a")
		w.say("a")
		if kind != "react" {
			w.say("a")
		}
		if kind != "" {
			r := w.send("a", "change")
			r.Kind, r.Text, r.Target = kind, "👍 on", w.log[0].ID
			if kind == "delete" {
				r.Text, r.Target = "", w.log[2].ID
			}
			r.At = int64(len(w.list))
			w.list[len(w.list)-1] = r
			w.sent("a", "change", w.enter(r), false)
		}
		w.receive("a")
		w.add(check.Record{Op: check.OpWiped})
		w.log, w.last["a"] = nil, 0
		w.add(check.Record{Op: check.OpReset, Client: "a", Conn: 1, Room: lobby})
		w.sayAnew("a")
		react := check.Record{Op: check.OpSend, Client: "a", Conn: 1, Room: lobby, User: "ua", Key: "mark", Kind: "react", Text: "👍 on", Target: anew(1)}
		w.add(react)
		w.sent("a", "mark", anew(2), false)
		react.Op, react.Client, react.Conn, react.ID, react.Count = check.OpLog, "", 0, anew(2), 1
		w.log = append(w.log, react)
		w.sayAnew("a")
		w.list[len(w.list)-1] = check.Record{At: int64(len(w.list)), Op: check.OpLost, Client: "b"} // it is received, and not acknowledged
		w.sayAnew("a")
		w.receive("a")
		w.add(check.Record{Op: check.OpEnd, Client: "a", Conn: 1, Room: lobby})
		for _, e := range w.log {
			if slices.Contains(log, e.ID) {
				w.add(e)
			}
		}
		return w.list
	}
	// The log was trimmed to one message, and of the changes nothing.
	trimmed := []string{anew(2), anew(4)}
	for _, kind := range []string{"", "react"} {
		if report := check.Verify(history(kind, trimmed)); !report.OK() {
			t.Errorf("the lost log had %q at the third place: %v", kind, report.Violations)
		}
	}
	// The third message is missing in a log that was not trimmed.
	holed := []string{anew(1), anew(2), anew(4)}
	for _, kind := range []string{"", "delete"} {
		mustFind(t, history(kind, holed), check.RuleLog)
	}
}
