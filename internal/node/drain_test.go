package node_test

import (
	"strings"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

func TestReadyzWhileDraining(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL())
	var answer struct {
		Ready bool
		Error struct{ Code, Message string }
	}
	if status := chattest.GetJSON(t, n.url+"/readyz", &answer); status != 200 || !answer.Ready {
		t.Errorf("/readyz: %d %v", status, answer)
	}
	if status := chattest.GetJSON(t, n.url+"/healthz", &answer); status != 200 {
		t.Errorf("/healthz: %d", status)
	}
	n.SetDraining()
	if status := chattest.GetJSON(t, n.url+"/readyz", &answer); status != 503 || !strings.Contains(answer.Error.Message, "draining") {
		t.Errorf("/readyz: %d %v", status, answer)
	}
}
