package check_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"example.com/chat/internal/check"
	"example.com/chat/internal/protocol"
)

// world writes the history of a chat that keeps its promises: clients in one room, which
// send, lose their connections, and resume.
type world struct {
	list []check.Record
	log  []check.Record // OpLog, in order
	last map[string]int // how many entries each client has received
	conn map[string]int
	keys int
}

const lobby = "lobby"

func (w *world) add(r check.Record) {
	r.At = int64(len(w.list) + 1)
	w.list = append(w.list, r)
}

func (w *world) head(n int) string {
	if n == 0 {
		return ""
	}
	return w.log[n-1].ID
}

func (w *world) join(client string) {
	after := w.last[client]
	r := check.Record{Op: check.OpJoined, Client: client, Conn: w.conn[client], Room: lobby,
		After: w.head(after), Head: w.head(len(w.log)), Recovered: after > 0, Count: len(w.log) - after}
	if after > 0 {
		w.add(r)
		w.receive(client)
		return
	}
	list := w.standing()
	list = list[max(0, len(list)-50):]
	r.Count = len(list)
	w.add(r)
	w.show(client, list)
	w.last[client] = len(w.log)
}

// look makes a client read the history.
func (w *world) look(client string) {
	list := w.standing()
	w.add(check.Record{Op: check.OpHistory, Client: client, Conn: w.conn[client], Room: lobby, Count: len(list)})
	w.show(client, list)
}

func (w *world) show(client string, list []check.Record) {
	for _, e := range list {
		e.Op, e.Client, e.Conn = check.OpShown, client, w.conn[client]
		w.add(e)
	}
}

// standing returns the messages of the log as they stand.
func (w *world) standing() (list []check.Record) {
	at := make(map[string]int)
	for _, e := range w.log {
		i, there := at[e.Target]
		switch {
		case e.Kind == "":
			at[e.ID] = len(list)
			list = append(list, e)
		case !there:
		case e.Kind == "edit":
			list[i].Text = e.Text
		case e.Kind == "react":
			list[i].Marks = fmt.Sprint(strings.Fields(e.Text)[0], " ", e.Count)
			if e.Count == 0 {
				list[i].Marks = ""
			}
		}
	}
	return list
}

func (w *world) receive(client string) {
	for ; w.last[client] < len(w.log); w.last[client]++ {
		e := w.log[w.last[client]]
		e.Op, e.Client, e.Conn = check.OpMessage, client, w.conn[client]
		w.add(e)
	}
}

func (w *world) lose(client string) {
	w.add(check.Record{Op: check.OpLost, Client: client, Conn: w.conn[client]})
	w.conn[client]++
}

func (w *world) send(client, key string) check.Record {
	r := check.Record{Op: check.OpSend, Client: client, Conn: w.conn[client], Room: lobby, User: "u" + client, Key: key, Text: "says " + key}
	w.add(r)
	return r
}

func (w *world) enter(r check.Record) string {
	seq := int64(len(w.log) + 1)
	r.Op, r.Client, r.Conn, r.ID = check.OpLog, "", 0, protocol.ID{MS: 1000 + seq/3, Seq: seq}.String()
	w.log = append(w.log, r)
	return r.ID
}

func (w *world) sent(client, key, id string, duplicate bool) {
	w.add(check.Record{Op: check.OpSent, Client: client, Conn: w.conn[client], Room: lobby, User: "u" + client, Key: key, ID: id, Duplicate: duplicate})
}

func (w *world) say(client string) {
	w.keys++
	key := fmt.Sprint(w.keys)
	r := w.send(client, key)
	w.sent(client, key, w.enter(r), false)
}

var clients = []string{"a", "b", "c"}

func good() []check.Record {
	w := &world{last: map[string]int{}, conn: map[string]int{"a": 1, "b": 1, "c": 1}}
	for _, c := range clients {
		w.join(c)
	}
	for i := range 30 {
		w.say(clients[i%3])
		for _, c := range clients {
			w.receive(c)
		}
	}
	// b loses its connection after a message that enters the log without an
	// acknowledgement, and sends it again when it has returned.
	r := w.send("b", "unsure")
	id := w.enter(r)
	w.lose("b")
	for range 5 {
		w.say("a")
	}
	w.receive("a")
	w.receive("c")
	w.join("b")
	w.send("b", "unsure")
	w.sent("b", "unsure", id, true)
	// One connection sends two messages before the first is acknowledged.
	x, y := w.send("c", "x"), w.send("c", "y")
	idx, idy := w.enter(x), w.enter(y)
	w.sent("c", "x", idx, false)
	w.sent("c", "y", idy, false)
	for _, c := range clients {
		w.receive(c)
		w.add(check.Record{Op: check.OpEnd, Client: c, Conn: w.conn[c], Room: lobby})
	}
	for _, e := range w.log {
		w.add(e)
	}
	return w.list
}

func mustFind(t *testing.T, list []check.Record, rules ...check.Rule) {
	t.Helper()
	report := check.Verify(list)
	for _, rule := range rules {
		if report.Found[rule] > 0 {
			return
		}
	}
	t.Errorf("want one of %v, found %v", rules, report.Violations)
}

func TestAGoodHistoryIsGood(t *testing.T) {
	list := good()
	report := check.Verify(list)
	if !report.OK() {
		t.Fatal(report.Violations)
	}
	if report.Sent != 38 || report.Acknowledged != 38 || report.Unknown != 0 || report.Duplicates != 1 || report.Entries != 38 ||
		report.Lost != 1 || report.Gaps != 0 || report.Heard != 3*38 {
		t.Errorf("%+v", report)
	}
}

// Every record of an entry counts: a history in which any of them is missing, repeated,
// misplaced or changed is refused.
func TestEveryMutationIsFound(t *testing.T) {
	list := good()
	mutations := map[string]func(list []check.Record, i int) []check.Record{
		"dropped": func(list []check.Record, i int) []check.Record { return slices.Delete(list, i, i+1) },
		"doubled": func(list []check.Record, i int) []check.Record { return slices.Insert(list, i, list[i]) },
		"swapped": func(list []check.Record, i int) []check.Record {
			for j := i + 1; j < len(list); j++ {
				if list[j].Op == list[i].Op && list[j].Client == list[i].Client && list[j].ID != list[i].ID {
					list[i], list[j] = list[j], list[i]
					return list
				}
			}
			return nil // no record to swap with
		},
		"with another text": func(list []check.Record, i int) []check.Record { list[i].Text += "!"; return list },
		"with another user": func(list []check.Record, i int) []check.Record { list[i].User = "mallory"; return list },
		"with another key":  func(list []check.Record, i int) []check.Record { list[i].Key += "0"; return list },
		"with another id": func(list []check.Record, i int) []check.Record {
			id, _ := protocol.ParseID(list[i].ID)
			list[i].ID = protocol.ID{MS: id.MS + 1, Seq: id.Seq}.String()
			return list
		},
		"with another seq": func(list []check.Record, i int) []check.Record {
			id, _ := protocol.ParseID(list[i].ID)
			list[i].ID = protocol.ID{MS: id.MS, Seq: id.Seq + 1}.String()
			return list
		},
		"in another room": func(list []check.Record, i int) []check.Record { list[i].Room = "other"; return list },
	}
	tried := 0
	for i, r := range list {
		if r.Op != check.OpMessage && r.Op != check.OpLog {
			continue
		}
		firstOfLog := r.Op == check.OpLog && list[i-1].Op != check.OpLog
		for name, mutate := range mutations {
			mutated := mutate(slices.Clone(list), i)
			if mutated == nil || firstOfLog && name == "dropped" {
				continue // a log may have lost its old end to its bound
			}
			tried++
			if check.Verify(mutated).OK() {
				t.Errorf("%s %s of %q, %s: found nothing", r.Op, r.ID, r.Client, name)
			}
		}
	}
	if tried < 1000 {
		t.Errorf("only %d mutations were tried", tried)
	}
}

// An acknowledgement may be missing; a false one is found.
func TestFalseAcknowledgementsAreFound(t *testing.T) {
	list := good()
	for i, r := range list {
		if r.Op != check.OpSent {
			continue
		}
		other := slices.Clone(list)
		id, _ := protocol.ParseID(r.ID)
		other[i].ID = protocol.ID{MS: id.MS, Seq: id.Seq + 100}.String()
		mustFind(t, other, check.RuleLost, check.RuleID)
		other = slices.Clone(list)
		other[i].Key = "never sent"
		mustFind(t, other, check.RuleInvented)
		if !r.Duplicate {
			mustFind(t, slices.Insert(slices.Clone(list), i, r), check.RuleTwice)
		}
	}
}

func TestRules(t *testing.T) {
	// change edits the first record that fits.
	change := func(fits func(check.Record) bool, edit func(*check.Record)) []check.Record {
		list := good()
		for i := range list {
			if fits(list[i]) {
				edit(&list[i])
				return list
			}
		}
		t.Fatal("no record fits")
		return nil
	}
	resumed := func(r check.Record) bool { return r.Op == check.OpJoined && r.Recovered }
	t.Run("a join resumes after another entry", func(t *testing.T) {
		mustFind(t, change(resumed, func(r *check.Record) { r.After = "1001-3" }), check.RuleHole)
	})
	t.Run("the messages of a join lack the head", func(t *testing.T) {
		mustFind(t, change(resumed, func(r *check.Record) { r.Head = "1099-99" }), check.RuleHead)
	})
	t.Run("a view ends early", func(t *testing.T) {
		list := good()
		end := slices.IndexFunc(list, func(r check.Record) bool { return r.Op == check.OpEnd })
		mustFind(t, slices.Delete(list, end-1, end), check.RuleEnd)
	})
	t.Run("an entry of a room that was left", func(t *testing.T) {
		list := good()
		i := slices.IndexFunc(list, func(r check.Record) bool { return r.Op == check.OpMessage })
		mustFind(t, slices.Insert(list, i, check.Record{Op: check.OpLeft, Client: "a", Room: lobby}), check.RuleStray)
	})
	t.Run("a connection's entries change their order", func(t *testing.T) {
		list := good()
		i := slices.IndexFunc(list, func(r check.Record) bool { return r.Op == check.OpSend && r.Key == "x" })
		list[i].Key, list[i].Text, list[i+1].Key, list[i+1].Text = "y", "says y", "x", "says x"
		mustFind(t, list, check.RuleOrder)
	})
	t.Run("an order contradicts time", func(t *testing.T) {
		// The last entry was acknowledged before the one before it was sent.
		list := good()
		for i := range list {
			if list[i].Op == check.OpSend && list[i].Key == "y" {
				list[i].At = 1
			}
			if list[i].Op == check.OpSent && list[i].Key == "y" {
				list[i].At = 2
			}
		}
		mustFind(t, list, check.RuleTime)
	})
	t.Run("clients receive different entries", func(t *testing.T) {
		list := good()
		for i := range list {
			if list[i].Op == check.OpMessage && list[i].Client == "b" && list[i].Key == "7" {
				list[i].Key, list[i].Text, list[i].User = "8", "says 8", "ub"
			}
		}
		mustFind(t, list, check.RuleDiffers)
	})
}

// unrecovered turns a join that recovered into one that returns the newest messages. The
// log holds fewer than such a join may return, and no changes.
func unrecovered(list []check.Record, at int) []check.Record {
	r := list[at]
	list = slices.Delete(slices.Clone(list), at+1, at+1+r.Count)
	var shown []check.Record
	for _, e := range list {
		if e.Op == check.OpLog && len(shown) == 0 || len(shown) > 0 && e.Op == check.OpLog && shown[len(shown)-1].ID != r.Head {
			e.Op, e.Client, e.Conn, e.At = check.OpShown, r.Client, r.Conn, r.At
			shown = append(shown, e)
		}
	}
	list[at].Recovered, list[at].Count = false, len(shown)
	return slices.Insert(list, at+1, shown...)
}

// A gap with notice is no violation, and a wiped log counts as another log.
func TestWhatWasToldIsNoViolation(t *testing.T) {
	list := good()
	i := slices.IndexFunc(list, func(r check.Record) bool { return r.Op == check.OpJoined && r.Recovered })
	list = unrecovered(list, i)
	report := check.Verify(list)
	if !report.OK() || report.Gaps != 1 {
		t.Errorf("%+v", report)
	}

	w := &world{last: map[string]int{}, conn: map[string]int{}}
	w.join("a")
	w.say("a")
	w.receive("a")
	before := slices.Clone(w.list)
	w.add(check.Record{Op: check.OpWiped})
	w.log, w.last["a"] = nil, 0
	w.add(check.Record{Op: check.OpReset, Client: "a", Room: lobby})
	w.join("a")
	w.say("a")
	w.log[0].ID = "5000-1"
	w.list[len(w.list)-1].ID = "5000-1"
	w.receive("a")
	w.add(check.Record{Op: check.OpEnd, Client: "a", Room: lobby})
	w.add(w.log[0])
	if report := check.Verify(w.list); !report.OK() || report.Resets != 1 {
		t.Errorf("%v", report.Violations)
	}
	silent := slices.DeleteFunc(slices.Clone(w.list), func(r check.Record) bool {
		return r.Op == check.OpReset || r.Op == check.OpJoined && r.At > int64(len(before))
	})
	mustFind(t, silent, check.RuleRepeat, check.RuleHole)
	unwiped := slices.DeleteFunc(slices.Clone(w.list), func(r check.Record) bool { return r.Op == check.OpWiped })
	mustFind(t, unwiped, check.RuleLost)
}

// A deleted entry leaves no gap.
func TestADeletionIsNoHole(t *testing.T) {
	w := &world{last: map[string]int{}, conn: map[string]int{}}
	w.join("a")
	for range 3 {
		w.say("a")
	}
	w.receive("a")
	r := check.Record{Op: check.OpSend, Client: "a", Room: lobby, User: "ua", Key: "d", Kind: "delete", Target: w.log[1].ID}
	w.add(r)
	w.sent("a", "d", w.enter(r), false)
	w.log = slices.Delete(w.log, 1, 2)
	w.last["a"]--
	w.receive("a")
	w.last["b"], w.conn["b"] = 0, 1
	w.join("b")
	w.add(check.Record{Op: check.OpEnd, Client: "a", Room: lobby})
	w.add(check.Record{Op: check.OpEnd, Client: "b", Conn: 1, Room: lobby})
	for _, e := range w.log {
		w.add(e)
	}
	if report := check.Verify(w.list); !report.OK() {
		t.Error(report.Violations)
	}
}

func TestHistoriesAreWrittenAndRead(t *testing.T) {
	list := good()
	var file bytes.Buffer
	if err := check.Write(&file, list); err != nil {
		t.Fatal(err)
	}
	again, err := check.Read(&file)
	if err != nil || !slices.Equal(list, again) {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{`{"op":"sung"}`, `{"op":"log","id":5}`, `nothing`, `{"op":"log","colour":"red"}`, strings.Repeat("x", 9<<20)} {
		if _, err := check.Read(strings.NewReader(bad)); err == nil {
			t.Errorf("%.40q was read", bad)
		}
	}
}

// Verify does not panic, whatever a history contains.
func FuzzVerify(f *testing.F) {
	var file bytes.Buffer
	if err := check.Write(&file, good()); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes(), uint64(1))
	f.Fuzz(func(_ *testing.T, data []byte, seed uint64) {
		list, err := check.Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		random := rand.New(rand.NewPCG(seed, 0))
		random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		check.Verify(list)
	})
}
