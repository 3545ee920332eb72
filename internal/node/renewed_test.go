package node_test

import (
	"strings"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/identity"
)

// A token that is not valid makes a new guest, under the old name where that is free.
// Before, clients with a token of a lost secret were refused for good, since the official
// client does not retry after a refusal.
func TestATokenThatDoesNotHoldMakesANewGuest(t *testing.T) {
	t.Parallel()
	before, after := startNode(t, redistest.Embedded(t).URL()), startNode(t, redistest.Embedded(t).URL())
	ann := chattest.Dial(t, before.url)
	if w := ann.Hello("name", "Ann"); strings.Contains(w.Raw, "renewed") {
		t.Errorf("a first welcome: %s", w.Raw)
	}
	renewed := func(name, token string) (string, string) {
		t.Helper()
		p := chattest.Dial(t, after.url)
		w := p.Hello("token", token)
		if !strings.Contains(w.Raw, `"renewed":true`) || w.User.ID == ann.Me.ID || name != "" && w.User.Name != name {
			t.Errorf("welcome on /ws: %s", w.Raw)
		}
		return w.User.ID, w.Token
	}
	id, token := renewed("Ann", ann.Token)
	again := chattest.Dial(t, after.url)
	if w := again.Hello("token", token); strings.Contains(w.Raw, "renewed") || w.User.ID != id {
		t.Errorf("with the new token: %s", w.Raw)
	}
	// The name is taken now, and a string that is no token gives no name.
	bad := identity.Sign([]byte("another"), identity.Guest{ID: id, Name: "<b>"})
	for _, token := range []string{ann.Token, "forged.token", "x", bad, strings.Repeat("x", 2000)} {
		p := ioDial(t, after.url)
		w := p.connect(`{"token":"` + token + `"}`)
		if !strings.Contains(w.Raw, `"renewed":true`) || !strings.HasPrefix(w.User.Name, "guest-") || w.User.ID == id {
			t.Errorf("welcome over Socket.IO: %s", w.Raw)
		}
		renewed("", token)
	}
}

// The secret is as durable as the data: where Redis outlives the nodes, so do tokens.
func TestTokensOutliveARestartWhereTheDataDoes(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	first := startNode(t, b.URL())
	ann := chattest.Enter(t, first.url, "Ann", "lobby")
	said := ann.Say("lobby", "before", "1")
	first.Close(0)
	second := startNode(t, b.URL())
	p := chattest.Dial(t, second.url)
	if w := p.Hello("token", ann.Token); w.User != ann.Me || strings.Contains(w.Raw, "renewed") {
		t.Errorf("welcome: %s", w.Raw)
	}
	p.Join("lobby")
	if f := p.Say("lobby", "before", "1"); !f.Duplicate || f.ID != said.ID {
		t.Errorf("sent again: %s", f.Raw)
	}
}
