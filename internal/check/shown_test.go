package check_test

import (
	"slices"
	"testing"

	"example.com/chat/internal/check"
)

// change makes a client edit, delete or react to a message.
func (w *world) change(client, kind, target, text string, count int) {
	w.keys++
	key := "change-" + client + text + target
	r := check.Record{
		Op: check.OpSend, Client: client, Conn: w.conn[client], Room: lobby, User: "u" + client, Key: key, Text: text, Kind: kind, Target: target,
	}
	w.add(r)
	r.Count = count
	w.sent(client, key, w.enter(r), false)
}

// changes returns a good history in which messages are edited, deleted and reacted to,
// and listed in joins and in the history.
func changes() []check.Record {
	w := &world{last: map[string]int{}, conn: map[string]int{"a": 1, "b": 1, "c": 1}}
	receive := func() {
		for _, c := range []string{"a", "b"} {
			w.receive(c)
		}
	}
	w.join("a")
	w.join("b")
	for range 5 {
		w.say("a")
	}
	first, second, third := w.log[0].ID, w.log[1].ID, w.log[2].ID
	w.change("a", "edit", first, "edited", 0)
	w.change("a", "edit", first, "edited again", 0)
	w.change("b", "react", second, "👍 on", 1)
	w.change("a", "react", second, "👍 on", 2)
	w.change("b", "react", third, "👍 on", 1)
	w.change("b", "react", third, "👍 off", 0)
	receive()
	w.look("a")
	w.join("c")
	w.last["c"] = len(w.log)
	w.change("a", "delete", w.log[3].ID, "", 0)
	w.log = slices.Delete(w.log, 3, 4)
	for _, c := range []string{"a", "b", "c"} {
		w.last[c]--
	}
	receive()
	w.receive("c")
	w.look("b")
	w.lose("c")
	w.last["c"] = 0
	w.join("c") // anew
	for _, c := range clients {
		w.add(check.Record{Op: check.OpEnd, Client: c, Conn: w.conn[c], Room: lobby})
	}
	for _, e := range w.log {
		w.add(e)
	}
	return w.list
}

// Lists hold messages as they stood: a history in which any message is left out, or listed
// in an earlier state or after its deletion, is refused. The mutations are one table.
func TestMessagesStandAsTheyWereChanged(t *testing.T) {
	list := changes()
	if report := check.Verify(list); !report.OK() {
		t.Fatalf("a good history: %v", report.Violations)
	}
	mutations := map[string]func(list []check.Record, i int) []check.Record{
		"left out":      func(list []check.Record, i int) []check.Record { return slices.Delete(list, i, i+1) },
		"listed twice":  func(list []check.Record, i int) []check.Record { return slices.Insert(list, i, list[i]) },
		"another text":  func(list []check.Record, i int) []check.Record { list[i].Text += "!"; return list },
		"another count": func(list []check.Record, i int) []check.Record { list[i].Marks = "👍 7"; return list },
		"another emoji": func(list []check.Record, i int) []check.Record { list[i].Marks += " 🎉 1"; return list },
		"an edit that is left out": func(list []check.Record, i int) []check.Record {
			if list[i].Text != "edited again" {
				return nil
			}
			list[i].Text = "edited"
			return list
		},
		"an edit that does not exist": func(list []check.Record, i int) []check.Record {
			if list[i].Text != "edited again" {
				return nil
			}
			list[i].Text = "says 1"
			return list
		},
		"reactions that are left out": func(list []check.Record, i int) []check.Record {
			if list[i].Marks == "" {
				return nil
			}
			list[i].Marks = ""
			return list
		},
		"a reaction that was removed": func(list []check.Record, i int) []check.Record {
			if list[i].Key != "3" {
				return nil
			}
			list[i].Marks = "👍 1"
			return list
		},
		"a deleted message": func(list []check.Record, i int) []check.Record {
			if list[i].Key != "3" || i < len(list)/2 || list[i+1].Key != "5" {
				return nil // before the deletion it is listed
			}
			at := slices.IndexFunc(list, func(r check.Record) bool { return r.Op == check.OpShown && r.Key == "4" })
			return slices.Insert(list, i+1, list[at])
		},
	}
	tried := make(map[string]int)
	for i, r := range list {
		if r.Op != check.OpShown {
			continue
		}
		for name, mutate := range mutations {
			mutated := mutate(slices.Clone(list), i)
			if mutated == nil {
				continue
			}
			tried[name]++
			if report := check.Verify(mutated); report.Found[check.RuleStands] == 0 {
				t.Errorf("%s listed for %q: %s was not found; %v", r.ID, r.Client, name, report.Violations)
			}
		}
	}
	for name := range mutations {
		if tried[name] < 2 {
			t.Errorf("%s was tried %d times", name, tried[name])
		}
	}
	// A count is not the sum of the reactions before it.
	wrong := slices.Clone(list)
	for i := range wrong {
		if wrong[i].Text == "👍 on" && wrong[i].Count == 2 {
			wrong[i].Count = 3
		}
	}
	mustFind(t, wrong, check.RuleStands)
}
