package redisbroker_test

import (
	"strings"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/protocol"
)

// Scripts do not make a full Redis larger. A first write that only deletes, or changes
// nothing, ends Redis's memory check for the rest of a script.
func TestAFullRedisGrowsByNoScriptAndLetsUsersGo(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	redistest.SetUser(server)
	site := at(server)
	site.client = single("redis://"+redistest.User+":"+redistest.Password+"@"+server.Addr, nil)
	b := open(t, site, "n1", 10)
	user := func(id string) protocol.User { return protocol.User{ID: id, Name: "name-of-" + id} }
	change := func(id string, here bool) protocol.Change { return protocol.Change{User: user(id), Here: here} }
	instance := b.Instance()
	if n, err := b.Here(t.Context(), instance, "lobby", []protocol.Change{change("a", true), change("b", true), change("c", true)}); err != nil || n != 3 {
		t.Fatal(n, err)
	}
	for _, id := range []string{"a", "b"} {
		if _, err := b.Claim(t.Context(), protocol.NameClaim{User: id, Name: user(id).Name}); err != nil {
			t.Fatal(err)
		}
	}
	server.Do("CONFIG", "SET", "maxmemory", "1")
	chattest.Eventually(t, "the beat to be refused", func() bool { return b.Ready() != nil })
	refused := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "OOM") {
			t.Errorf("%s: %v", what, err)
		}
	}
	before := b.everything(t)
	_, err := b.Here(t.Context(), instance, "lobby", []protocol.Change{change("d", true)})
	refused("a user who comes", err)
	_, err = b.Here(t.Context(), instance, "lobby", []protocol.Change{change("a", true), change("d", true)})
	refused("users who come", err)
	_, err = b.Claim(t.Context(), protocol.NameClaim{User: "d", Name: "Dora"})
	refused("a claim", err)
	_, err = b.Rename(t.Context(), protocol.NameClaim{User: "a", Name: strings.Repeat("n", 30)}, "mark") // it begins by freeing the old name
	refused("another name", err)
	if after := b.everything(t); after != before {
		t.Errorf("redis holds\n%s\nof\n%s", after, before)
	}

	if n, err := b.Here(t.Context(), instance, "lobby", []protocol.Change{change("a", false)}); err != nil || n != 2 {
		t.Errorf("a user who leaves: %d %v", n, err)
	}
	_, err = b.Here(t.Context(), instance, "lobby", []protocol.Change{change("d", true), change("b", false)})
	refused("one who comes as another leaves", err)
	if list, err := b.Present(t.Context(), "lobby"); err != nil || len(list) != 1 || list[0] != user("c") {
		t.Errorf("present are %v, %v", list, err)
	}
	released := make(chan error, 1)
	b.Release("a", false, func(err error) { released <- err })
	if err := <-released; err != nil {
		t.Errorf("a release: %v", err)
	}
	// Calls that wait are sent in one batch: its claim is refused, its release is not.
	server.Do("CLIENT", "PAUSE", "300", "ALL")
	go func() { _, _ = b.Claim(t.Context(), protocol.NameClaim{User: "x", Name: "Xaver"}) }() // ends with the pause
	claimed := make(chan error, 1)
	go func() { // ends with the pause
		_, err := b.Claim(t.Context(), protocol.NameClaim{User: "y", Name: "Yvonne"})
		claimed <- err
	}()
	b.Release("b", false, func(err error) { released <- err })
	if err := <-released; err != nil {
		t.Errorf("a release among claims: %v", err)
	}
	refused("a claim among releases", <-claimed)
	if err := b.Vacate(t.Context(), instance, "lobby"); err != nil {
		t.Errorf("to vacate a room: %v", err)
	}
	if all := b.everything(t); strings.Contains(all, ":here:") || strings.Contains(all, "name-of-") {
		t.Errorf("redis holds\n%s", all)
	}
	server.Do("CONFIG", "SET", "maxmemory", "0")
	chattest.Eventually(t, "to be ready again", func() bool { return b.Ready() == nil })
	if _, err := b.Claim(t.Context(), protocol.NameClaim{User: "d", Name: user("a").Name}); err != nil {
		t.Error(err)
	}
}
