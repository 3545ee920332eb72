package replica

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"example.com/chat/internal/protocol"
)

// TestScripts runs the scripts of testdata/*.txt. A line that is not indented is a
// call, the indented lines after it are what it returns. Lines with # are comments.
//
// An entry is written as its id, a message with text of SIZE bytes as ID~SIZE,
// and a change as ID:KIND:TARGET. FROM..TO are the messages with these seqs, each with
// the same number as its time. In results, ID* is a message that was changed, and
// three or more in a row are written as FROM..TO.
//
//	new [keep N]                        a new replica of a log that keeps N messages
//	start [keep N] ENTRIES [older]      a new replica that has read these as the newest
//	heard ENTRY after ID [backpressure] Hear, of each entry of a range in turn
//	refresh                             Refresh
//	compare ID                          Compare
//	acknowledged ID                     Acknowledged
//	behind                              Behind
//	overdue SEQ                         Overdue
//	begin                               BeginRead
//	read found ENTRIES [more]           Read, of what follows the position
//	read newest ENTRIES [older]         Read, of the newest messages, as folded from ENTRIES
//	missed ENTRIES                      Missed
//	join [after ID]                     Answer, with a new Lookup
//	join again                          Answer, with the same cursor and Lookup
//	lookup begin|refreshed|filled|extended|lost
//	                                    what was read for it
//	lookup found ENTRIES [more]
//	below tail|messages                 BelowTail, BelowMessages
//	extend ENTRIES [more] [spare]       Extend, with spare bytes for all of them
//	shrink                              Shrink
//	fill ENTRIES [at ENTRY] [older]     Fill, of messages as folded from ENTRIES, at this head
//	history [before ID] limit N         History
//	current [newest] limit N ENTRIES [at ENTRY] [older]
//	                                    Current, of a page as folded from ENTRIES, at this head
//	split NAME size N                   Split of the last answer
//	next NAME size N                    Next
//	refill NAME ENTRIES                 Refill
//	erase NAME ID                       Backlog.Erase
//	state                               what is in memory
func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			runScript(t, string(text))
		})
	}
}

const indent = "    "

func runScript(t *testing.T, text string) {
	t.Helper()
	s := &script{t: t, backlogs: map[string]*Backlog{}}
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		call := i + 1
		var want []string
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1], indent) {
			i++
			want = append(want, strings.TrimPrefix(lines[i], indent))
		}
		got := s.call(line)
		if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
			t.Errorf("line %d: %s\ngot:\n%s\nwant:\n%s", call, line, indented(got), indented(want))
		}
	}
}

func indented(lines []string) string {
	return indent + strings.Join(lines, "\n"+indent)
}

// script is the state of one script.
type script struct {
	t        *testing.T
	r        *Replica
	cursor   protocol.Cursor
	lookup   Lookup
	answer   Answer
	below    Below
	backlogs map[string]*Backlog
}

// call runs one line, and returns what it returned.
func (s *script) call(line string) []string {
	w := &words{s.t, line, strings.Fields(line)}
	defer w.end()
	name := w.next()
	if f := s.inputs()[name]; f != nil {
		return effects(f(w))
	}
	if f := s.questions()[name]; f != nil {
		return f(w)
	}
	s.t.Fatalf("unknown call: %s", line)
	return nil
}

// inputs are the calls that return effects.
func (s *script) inputs() map[string]func(*words) Effects {
	return map[string]func(*words) Effects{
		"new": func(w *words) Effects {
			s.r = New(w.keep())
			return Effects{}
		},
		"start": func(w *words) Effects {
			s.r = New(w.keep())
			s.r.Refresh()
			s.r.BeginRead()
			s.r.Read(Piece{Newest: w.page()})
			return Effects{}
		},
		"heard": func(w *words) Effects {
			list := w.entries()
			w.want("after")
			after, backpressure := w.id(), w.is("backpressure")
			var all Effects
			var deliver []protocol.Entry
			for _, e := range list {
				one := s.r.Hear(Post{After: after, Entry: e}, backpressure)
				deliver = append(deliver, one.Deliver...)
				all.Gap, all.Read, all.Erased = all.Gap || one.Gap, all.Read || one.Read, append(all.Erased, one.Erased...)
				after = e.ID
			}
			all.Deliver = deliver
			return all
		},
		"refresh":      func(*words) Effects { return s.r.Refresh() },
		"compare":      func(w *words) Effects { return s.r.Compare(w.id()) },
		"acknowledged": func(w *words) Effects { return s.r.Acknowledged(w.id()) },
		"overdue":      func(w *words) Effects { return s.r.Overdue(int64(w.int())) },
		"read": func(w *words) Effects {
			if w.is("found") {
				return s.r.Read(Piece{Found: true, Entries: w.entries(), More: w.is("more")})
			}
			w.want("newest")
			return s.r.Read(Piece{Newest: w.page()})
		},
		"refill": func(w *words) Effects {
			b := s.backlogs[w.next()]
			e, ok := s.r.Refill(b, w.entries())
			if ok == s.r.reading {
				s.t.Errorf("refill: ok %v, read due %v", ok, s.r.reading)
			}
			return e
		},
	}
}

// questions are the calls that return something else.
func (s *script) questions() map[string]func(*words) []string {
	all := s.joins()
	maps.Copy(all, s.others())
	return all
}

// others are those that concern no join.
func (s *script) others() map[string]func(*words) []string {
	return map[string]func(*words) []string{
		"begin": func(*words) []string {
			if p := s.r.BeginRead(); p.Known {
				return []string{"after " + p.After.Head()}
			}
			return []string{"newest"}
		},
		"behind": func(*words) []string {
			expected, behind := s.r.Behind()
			return []string{fmt.Sprint(behind, ", expected ", expected)}
		},
		"missed": func(w *words) []string { return []string{strconv.Itoa(s.r.Missed(w.entries()))} },
		"history": func(w *words) []string {
			var before protocol.Cursor
			if w.is("before") {
				before = protocol.At(w.id())
			}
			w.want("limit")
			return history(s.r.memory.History(before, w.int()))
		},
		"current": func(w *words) []string {
			newest := w.is("newest")
			w.want("limit")
			limit := w.int()
			return history(s.r.memory.Current(w.page(), newest, limit))
		},
		"split": func(w *words) []string {
			name := w.next()
			w.want("size")
			first, b := s.r.memory.Split(s.answer, w.int())
			s.backlogs[name] = b
			return []string{ids(first), map[bool]string{true: "nothing else", false: "the others follow"}[b == nil]}
		},
		"next": func(w *words) []string {
			b := s.backlogs[w.next()]
			w.want("size")
			piece, state := s.r.memory.Next(b, w.int())
			return []string{ids(piece), []string{"more", "read after " + b.After().Head(), "done"}[state]}
		},
		"erase": func(w *words) []string { s.backlogs[w.next()].Erase(w.id()); return nil },
		"state": func(*words) []string { return s.r.state() },
	}
}

// joins are those that answer a join.
func (s *script) joins() map[string]func(*words) []string {
	return map[string]func(*words) []string{
		"join": func(w *words) []string {
			if !w.is("again") {
				s.lookup, s.cursor = Lookup{}, protocol.Cursor{}
				if w.is("after") {
					s.cursor = protocol.At(w.id())
				}
			}
			s.answer = s.r.memory.Answer(s.cursor, &s.lookup)
			return answer(s.answer)
		},
		"lookup": func(w *words) []string {
			switch {
			case w.is("begin"):
				s.lookup.Begin(s.r.memory.Head())
			case w.is("refreshed"):
				s.lookup.Refreshed()
			case w.is("filled"):
				s.lookup.Filled()
			case w.is("extended"):
				s.lookup.Extended()
			case w.is("lost"):
				s.lookup.Found(nil, false, false)
			default:
				w.want("found")
				s.lookup.Found(w.entries(), true, w.is("more"))
			}
			return nil
		},
		"below": func(w *words) []string {
			if w.is("tail") {
				s.below = s.r.memory.BelowTail()
			} else {
				w.want("messages")
				s.below = s.r.memory.BelowMessages(100)
			}
			return []string{fmt.Sprintf("%d before %s", s.below.N, s.below.Before.Head())}
		},
		"extend": func(w *words) []string {
			list, more, spare := w.entries(), w.is("more"), 0
			if w.is("spare") {
				spare = s.r.memory.Excess(s.below, list)
			}
			s.r.memory.Extend(s.below, list, more, spare)
			return nil
		},
		"shrink": func(*words) []string { s.r.memory.Shrink(); return nil },
		"fill":   func(w *words) []string { s.r.memory.Fill(s.below, w.page()); return nil },
	}
}

func (r *Replica) state() []string {
	return []string{
		"head " + r.memory.head.Head(),
		fmt.Sprintf("entries %s, floor %d", ids(r.memory.tail.list), r.memory.tail.floor),
		fmt.Sprintf("messages %s, complete %v", ids(r.memory.messages.list), r.memory.messages.complete()),
	}
}

// effects writes what a step returned.
func effects(e Effects) (out []string) {
	if e.Gap {
		out = append(out, "gap")
	}
	if e.Reset {
		out = append(out, "reset "+e.ResetAt.Head())
	}
	if len(e.Deliver) > 0 {
		out = append(out, "deliver "+ids(e.Deliver))
	}
	for _, id := range e.Erased {
		out = append(out, "erase "+id.String())
	}
	if e.Read {
		out = append(out, "read due")
	}
	if e.End && !e.Settled {
		out = append(out, "end")
	}
	if e.Settled {
		out = append(out, "settled")
	}
	return out
}

func answer(a Answer) []string {
	if a.Need != NeedNothing {
		return []string{"needs " + []string{"", "refresh", "tail", "entries", "messages"}[a.Need]}
	}
	return []string{map[bool]string{true: "recovered ", false: "newest "}[a.Recovered] + ids(a.List)}
}

func history(list []protocol.Entry, more, ok bool) []string {
	if !ok {
		return []string{"unknown"}
	}
	return []string{ids(list) + map[bool]string{true: " and older", false: ""}[more]}
}

// ids writes entries.
func ids(list []protocol.Entry) string {
	if len(list) == 0 {
		return "none"
	}
	var out []string
	for i := 0; i < len(list); {
		n := 1
		for i+n < len(list) && plain(list[i]) && plain(list[i+n]) && list[i+n].ID.Seq == list[i].ID.Seq+int64(n) {
			n++
		}
		if n >= 3 {
			out = append(out, fmt.Sprintf("%d..%d", list[i].ID.Seq, list[i+n-1].ID.Seq))
			i += n
			continue
		}
		out = append(out, written(list[i]))
		i++
	}
	return strings.Join(out, " ")
}

func plain(e protocol.Entry) bool {
	return written(e) == fmt.Sprintf("%d-%d", e.ID.Seq, e.ID.Seq)
}

func written(e protocol.Entry) string {
	raw := string(e.Raw)
	if c, ok := e.Modification(); ok {
		return fmt.Sprintf("%s:%s:%s", e.ID, c.Kind, c.Target)
	}
	if strings.Contains(raw, `"edited":`) || strings.Contains(raw, `"reactions":`) {
		return e.ID.String() + "*"
	}
	return e.ID.String()
}

// words are those of one line.
type words struct {
	t    *testing.T
	line string
	list []string
}

func (w *words) more() bool { return len(w.list) > 0 }

func (w *words) next() string {
	if len(w.list) == 0 {
		w.t.Fatalf("too few words: %s", w.line)
	}
	word := w.list[0]
	w.list = w.list[1:]
	return word
}

// is takes the next word if it is the given one.
func (w *words) is(word string) bool {
	if len(w.list) == 0 || w.list[0] != word {
		return false
	}
	w.list = w.list[1:]
	return true
}

func (w *words) want(word string) {
	if !w.is(word) {
		w.t.Fatalf("want %q: %s", word, w.line)
	}
}

func (w *words) end() {
	if len(w.list) > 0 {
		w.t.Fatalf("too many words: %s", w.line)
	}
}

func (w *words) int() int {
	n, err := strconv.Atoi(w.next())
	if err != nil {
		w.t.Fatalf("%v: %s", err, w.line)
	}
	return n
}

// keep takes how many messages the log keeps.
func (w *words) keep() int {
	if w.is("keep") {
		return w.int()
	}
	return 0
}

func (w *words) id() protocol.ID { return w.parse(w.next()) }

func (w *words) parse(s string) protocol.ID {
	c, err := protocol.ParseCursor(s)
	if err != nil {
		w.t.Fatalf("%v: %s", err, w.line)
	}
	if c.ID.Seq == 0 {
		return protocol.ID{}
	}
	return c.ID
}

// page takes entries, and folds them into a page.
func (w *words) page() protocol.Page {
	p := protocol.PageOf(w.entries(), protocol.ID{}, 1000)
	if w.is("at") {
		p.Head = w.entries()[0]
	}
	p.More = w.is("older")
	return p
}

// entries takes all entries that come next; "none" stands for an empty list.
func (w *words) entries() (list []protocol.Entry) {
	for w.more() && (w.list[0][0] >= '0' && w.list[0][0] <= '9' || w.list[0] == "none") {
		word := w.next()
		if word == "none" {
			continue
		}
		word, size, _ := strings.Cut(word, "~")
		bytes, _ := strconv.Atoi(size)
		if from, to, ok := strings.Cut(word, ".."); ok {
			for seq, last := w.seq(from), w.seq(to); seq <= last; seq++ {
				list = append(list, testEntry(protocol.ID{MS: seq, Seq: seq}, "", protocol.ID{}, bytes))
			}
			continue
		}
		part := strings.Split(word, ":")
		if len(part) == 3 {
			list = append(list, testEntry(w.parse(part[0]), part[1], w.parse(part[2]), 0))
		} else {
			list = append(list, testEntry(w.parse(part[0]), "", protocol.ID{}, bytes))
		}
	}
	return list
}

func (w *words) seq(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		w.t.Fatalf("%v: %s", err, w.line)
	}
	return n
}

// testEntry makes an entry of the room's log: a message whose text has at least so
// many bytes, or a change of the target.
func testEntry(id protocol.ID, kind string, target protocol.ID, bytes int) protocol.Entry {
	u, key := protocol.User{ID: "u", Name: "n"}, "k"+strconv.FormatInt(id.Seq, 10)
	d := protocol.Message(u, key, "text-"+id.String()+strings.Repeat("x", bytes), "n")
	if kind != "" {
		d = protocol.Command{Type: kind, Key: key, Target: target, Text: "edited-" + id.String(), Emoji: "👍", On: true}.Change(u, "n", false)
	}
	return d.Entry(id, "lobby", 1)
}
