package program_test

import (
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// Go reads SSL_CERT_FILE once in a process, so this test needs a process of its own.
func TestAPrivateCAIsTrustedThroughTheEnvironment(t *testing.T) {
	t.Parallel()
	ca := redistest.NewCA(t)
	secure := redistest.StartTLS(t, ca)
	secure.Do("ACL", "SETUSER", "chat", "on", ">s,t", "~*", "&*", "+@all")
	secure.Do("ACL", "SETUSER", "default", "off")
	url := strings.Replace(secure.URL, "://", "://chat:s%2Ct@", 1)
	p := startProgram(t, []string{"SSL_CERT_FILE=" + ca.CAFile, "CHAT_REDIS=" + url}, "--addr=127.0.0.1:0")
	chattest.Enter(t, p.URL(1), "Ann", "lobby").Say("lobby", "over TLS", "k")
	p = startProgram(t, []string{"SSL_CERT_FILE=" + ca.CAFile, "CHAT_REDIS=" + strings.Replace(url, "%2Ct", "", 1)}, "--addr=127.0.0.1:0")
	if code := p.Wait(); code != 1 || !strings.Contains(p.Errs(), "WRONGPASS") || slices.Contains(strings.Fields(p.Errs()), "s,t") {
		t.Errorf("%d %s", code, p.Errs())
	}
	for _, url := range []string{redistest.StartCluster(t, ca).URL, redistest.StartSentinel(t, ca).URL} {
		p = startProgram(t, []string{"SSL_CERT_FILE=" + ca.CAFile, "CHAT_REDIS=" + url}, "--addr=127.0.0.1:0")
		chattest.Enter(t, p.URL(1), "Ann", "lobby").Say("lobby", "over TLS", "k")
	}
}

// A password with a character that ends the address of a URL once appeared in the
// message.
func TestTheProgramRefusesAPasswordThatIsNotEncoded(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var dialed atomic.Bool
	go func() { // ends with the listener
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			dialed.Store(true)
			_ = c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	for _, c := range []string{"#", "?", "/"} {
		p := startProgram(t, []string{"CHAT_REDIS=redis://:" + port + c + "Wc903z@127.0.0.1:" + port}, "--addr=127.0.0.1:0")
		if code := p.Wait(); code != 2 || !strings.Contains(p.Errs(), "%23") || strings.Contains(p.Errs(), "Wc903z") || strings.Contains(p.Errs(), port) {
			t.Errorf("%q in a password: status %d, %s", c, code, p.Errs())
		}
	}
	if dialed.Load() {
		t.Error("a connection was opened")
	}
}
