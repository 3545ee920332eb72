package main

import (
	"strings"
	"testing"

	"example.com/chat/internal/identity"
)

// After a restart that lost the tokens' secret, clients that had a token were refused
// for good, and the official one does not try again after a refusal. A token that does
// not hold makes a new guest, under the old name where that is free.
func TestATokenThatDoesNotHoldMakesANewGuest(t *testing.T) {
	t.Parallel()
	before, after := startNode(t, startTestBroker(t).URL()), startNode(t, startTestBroker(t).URL())
	ann := dial(t, before.url)
	if w := ann.hello("name", "Ann"); strings.Contains(w.raw, "renewed") {
		t.Errorf("a first welcome: %s", w.raw)
	}
	renewed := func(name, token string) (string, string) {
		t.Helper()
		p := dial(t, after.url)
		w := p.hello("token", token)
		if !strings.Contains(w.raw, `"renewed":true`) || w.User.ID == ann.me.ID || name != "" && w.User.Name != name {
			t.Errorf("welcome on /ws: %s", w.raw)
		}
		return w.User.ID, w.Token
	}
	id, token := renewed("Ann", ann.token)
	again := dial(t, after.url)
	if w := again.hello("token", token); strings.Contains(w.raw, "renewed") || w.User.ID != id {
		t.Errorf("with the new token: %s", w.raw)
	}
	// The name is taken now, and what is no token brings none.
	bad := identity.Sign([]byte("another"), identity.Guest{ID: id, Name: "<b>"})
	for _, token := range []string{ann.token, "forged.token", "x", bad, strings.Repeat("x", 2000)} {
		p := ioDial(t, after.url)
		w := p.connect(`{"token":"` + token + `"}`)
		if !strings.Contains(w.raw, `"renewed":true`) || !strings.HasPrefix(w.User.Name, "guest-") || w.User.ID == id {
			t.Errorf("welcome over Socket.IO: %s", w.raw)
		}
		renewed("", token)
	}
}

// The secret is as durable as the data: where Redis outlives the nodes, so do tokens.
func TestTokensOutliveARestartWhereTheDataDoes(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	first := startNode(t, b.URL())
	ann := enter(t, first.url, "Ann", "lobby")
	said := ann.say("lobby", "before", "1")
	first.Close(0)
	second := startNode(t, b.URL())
	p := dial(t, second.url)
	if w := p.hello("token", ann.token); w.User != ann.me || strings.Contains(w.raw, "renewed") {
		t.Errorf("welcome: %s", w.raw)
	}
	p.join("lobby")
	if f := p.say("lobby", "before", "1"); !f.Duplicate || f.ID != said.ID {
		t.Errorf("sent again: %s", f.raw)
	}
}
