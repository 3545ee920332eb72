package engineio

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/test/socketio/wiretest"
)

// A proxy may repeat a GET whose connection broke, for example because a relaying node was
// killed before it had passed on the answer. The repeat must get the same answer, not the
// next messages. Its mark, which clients add because of caches, identifies it.
func TestARepeatedPollGetsTheSameAnswer(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	url := s.polling()
	session := s.session()
	session.Send(Text([]byte("1")), Text([]byte("2")))
	s.wants("GET", url+"&t=a", "", 200, "41\x1e42")
	session.Send(Text([]byte("3")))
	s.wants("POST", url+"&t=post", "3", 200, "ok") // a POST in between changes nothing
	s.wants("GET", url+"&t=a", "", 200, "41\x1e42")
	s.wants("GET", url+"&t=a", "", 200, "41\x1e42")
	s.wants("GET", url+"&t=b", "", 200, "43")
	got := s.polled(context.Background(), url+"&t=c")
	session.Send(Text([]byte("4")))
	if answer := <-got; answer != "OK 44" {
		t.Errorf("got %q", answer)
	}
	// Without a mark, or with one that is too long, no poll repeats another.
	for _, mark := range []string{"", "&t=", "&t=" + strings.Repeat("x", 100)} {
		session.Send(Text([]byte("5")))
		s.wants("GET", url+mark, "", 200, "45")
		session.Send(Text([]byte("6")))
		s.wants("GET", url+mark, "", 200, "46")
	}
	// A repeat of a waiting poll replaces it: no client waits for the first any more.
	first := s.polled(context.Background(), url+"&t=d")
	second := make(chan string, 1)
	go func() { // ends with the request
		_, body, _ := wiretest.Try(context.Background(), "GET", url+"&t=d", "")
		second <- body
	}()
	if answer := <-first; answer != "OK 6" {
		t.Errorf("the first poll got %q", answer)
	}
	session.Send(Text([]byte("7")))
	if answer := <-second; answer != "47" {
		t.Errorf("the second poll got %q", answer)
	}
}

// Some clients mark all requests alike, or by the second. Such marks do not identify a
// request: a poll with the mark of the last one must get the next messages.
func TestMarksThatRepeatSayNothing(t *testing.T) {
	t.Parallel()
	for name, mark := range map[string]func() string{
		"constant":    func() string { return "&t=1" },
		"text":        func() string { return "&t=abc" },
		"seconds":     func() string { return "&t=" + strconv.FormatInt(time.Now().Unix(), 10) },
		"of an hour":  func() string { return "&t=" + time.Now().Format("2006-01-02T15") },
		"only a poll": func() string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, Config{})
			status, body := s.do("GET", s.url+"polling"+mark(), "")
			if status != 200 {
				t.Fatalf("handshake: %d", status)
			}
			url := s.url + "polling&sid=" + s.hello(body).SID
			session := s.session()
			got := s.polled(context.Background(), url+mark())
			s.wants("POST", url+mark(), "40", 200, "ok")
			if answer := <-got; answer != "OK 440"[:3]+"40" {
				t.Fatalf("the first poll got %q", answer)
			}
			for i := range 20 {
				session.Send(Text([]byte(strconv.Itoa(i))))
				s.wants("GET", url+mark(), "", 200, "4"+strconv.Itoa(i))
				s.wants("POST", url+mark(), "4typing", 200, "ok")
				s.wants("POST", url+mark(), "4typing", 200, "ok") // a second one, not a repeat
				s.wants("GET", url+mark(), "", 200, "4typing\x1e4typing")
			}
			got = s.polled(context.Background(), url+mark()) // it waits
			session.Send(Text([]byte("end")))
			if answer := <-got; answer != "OK 4end" {
				t.Errorf("the last poll got %q", answer)
			}
		})
	}
}

// If all polls have one mark, and no other request shows that, the mark is ignored after a
// few answers.
func TestAPollIsNotRepeatedForEver(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	url := s.polling()
	session := s.session()
	session.Send(Text([]byte("1")))
	for range 1 + maxRepeats {
		s.wants("GET", url+"&t=a", "", 200, "41")
	}
	session.Send(Text([]byte("2")))
	s.wants("GET", url+"&t=a", "", 200, "42")
	session.Send(Text([]byte("3")))
	s.wants("GET", url+"&t=a", "", 200, "43")

	// A POST without a mark shows that its client has received the last answer.
	url = s.polling()
	session = s.session()
	session.Send(Text([]byte("1")))
	s.wants("GET", url+"&t=a", "", 200, "41")
	s.wants("POST", url, "42", 200, "ok")
	s.wants("GET", url+"&t=a", "", 200, "42")
}

// A session survives a poll whose connection breaks, for example at a proxy that answers
// 502.
func TestASessionOutlivesAPollThatBreaksOff(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	url := s.polling()
	session := s.session()
	for i := range 3 {
		ctx, cancel := context.WithCancel(context.Background())
		got := s.polled(ctx, url+"&t="+strconv.Itoa(i)+"x")
		cancel()
		<-got
		session.Send(Text([]byte("meanwhile")))
		s.wants("GET", url, "", 200, "4meanwhile")
	}

	s = serve(t, Config{PingInterval: 60 * time.Millisecond, PingTimeout: 40 * time.Millisecond})
	url = s.polling()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, _, _ = wiretest.Try(ctx, "GET", url, "")
	s.ends(ReasonPing) // like that of any silent client
}

// brokenWriter fails to write an answer from its n-th byte on.
type brokenWriter struct {
	http.ResponseWriter
	n int
}

func (w *brokenWriter) Write(b []byte) (int, error) {
	if len(b) > w.n {
		return w.n, net.ErrClosed
	}
	w.n -= len(b)
	return w.ResponseWriter.Write(b)
}

// The packets of an answer that could not be written go to the next poll, whatever its mark,
// before later ones.
func TestAnAnswerThatCannotBeWrittenIsHandedOutAgain(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{OutboxLimit: 10})
	broken := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(&brokenWriter{w, 3}, r) })
	url := s.polling()
	session := s.session()
	session.Send(Text([]byte("one")), Text([]byte("two")))
	ask := func(mark string) {
		r, _ := http.NewRequest("GET", url+mark, nil)
		broken.ServeHTTP(discard{}, r)
	}
	ask("&t=a")
	session.Answer(Text([]byte("three")))
	ask("&t=b")
	s.wants("GET", url+"&t=c", "", 200, "4one\x1e4two\x1e4three")
}

// discard is a response that is not read.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// Browsers and some proxies repeat a POST whose connection broke. Its packets are handled
// once, and two copies at the same time do not end the session.
func TestARepeatedPostIsHandledOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	url := s.polling()
	for range 3 {
		s.wants("POST", url+"&t=a", "4join", 200, "ok")
	}
	s.wants("POST", url+"&t=b", "4join", 200, "ok") // not a repeat
	s.wants("GET", url+"&t=c", "", 200, "4join\x1e4join")

	// Without a mark, a POST is a repeat only if the first answer was not written.
	s.wants("POST", url, "4typing", 200, "ok")
	s.wants("POST", url, "4typing", 200, "ok")
	s.wants("GET", url, "", 200, "4typing\x1e4typing")
	r, _ := http.NewRequest("POST", url, strings.NewReader("4rename"))
	s.ServeHTTP(&brokenWriter{discard{}, 0}, r)
	s.wants("POST", url, "4rename", 200, "ok")
	s.wants("POST", url, "4rename", 200, "ok")
	s.wants("GET", url, "", 200, "4rename\x1e4rename")

	// An incomplete repeat changes nothing.
	s.wants("POST", url+"&t=d", "4mute", 200, "ok")
	r, _ = http.NewRequest("POST", url+"&t=d", io.MultiReader(strings.NewReader("4mu"), cut{}))
	s.ServeHTTP(discard{}, r)
	s.wants("POST", url+"&t=d", "4mute", 200, "ok")
	s.wants("GET", url, "", 200, "4mute")
}

// cut is an incomplete body.
type cut struct{}

func (cut) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// A repeat that arrives while the first POST is being handled waits for its answer.
func TestAPostThatIsRepeatedAtOnceIsHandledOnce(t *testing.T) {
	t.Parallel()
	for _, mark := range []string{"", "&t=a"} {
		hold := make(chan struct{})
		s := serve(t, Config{})
		s.cfg.Open = func(session *Session, _ *http.Request, _ any) Handler { return held{hold, session} }
		url := s.polling()
		session := s.server(url)
		answers := make(chan string, 2)
		send := func() {
			_, body, _ := wiretest.Try(context.Background(), "POST", url+mark, "4a")
			answers <- body
		}
		go send() // ends with the request
		chattest.Eventually(t, "the handling of the first POST", func() bool {
			session.mu.Lock()
			defer session.mu.Unlock()
			return session.beat.handling
		})
		go send() // ends with the request
		chattest.Eventually(t, "the second POST", func() bool {
			session.mu.Lock()
			defer session.mu.Unlock()
			return session.posts.second
		})
		hold <- struct{}{}
		if one, two := <-answers, <-answers; one != "ok" || two != "ok" {
			t.Errorf("got %q and %q", one, two)
		}
		s.wants("GET", url, "", 200, "4a")
	}
}

// server returns the session of a URL.
func (s *site) server(url string) *Session {
	_, id, _ := strings.Cut(url, "sid=")
	return s.find(id)
}

// A POST with an incomplete body is not handled, and its session continues.
func TestASessionOutlivesAPostThatBreaksOff(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{BodyTime: 100 * time.Millisecond})
	url := s.polling()
	for _, end := range []func(net.Conn){
		func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() },
		func(c net.Conn) { _ = c.Close() },
		func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, // until the server closes it
	} {
		c, err := net.Dial("tcp", strings.Split(strings.TrimPrefix(url, "http://"), "/")[0])
		if err != nil {
			t.Fatal(err)
		}
		path := url[strings.Index(url, "/engine.io"):]
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n4a", path)
		session := s.session()
		chattest.Eventually(t, "the POST", func() bool {
			session.mu.Lock()
			defer session.mu.Unlock()
			return session.posts.active
		})
		end(c)
		_ = c.Close()
		chattest.Eventually(t, "the end of the POST", func() bool {
			session.mu.Lock()
			defer session.mu.Unlock()
			return !session.posts.active
		})
		s.wants("POST", url, "4whole", 200, "ok")
		s.wants("GET", url, "", 200, "4whole")
	}
}

// A relaying node identifies requests that it sends again.
func TestARequestIsKnownByItsIdentity(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{Identity: func(r *http.Request) (string, string) { return r.Header.Get("X-Node"), r.Header.Get("X-Number") }})
	url := s.polling()
	session := s.session()
	for range 2 {
		s.do("POST", url, "4typing", "X-Number", "1")
	}
	for range 2 {
		if _, body := s.do("GET", url, "", "X-Number", "2"); body != "4typing" {
			t.Errorf("got %q", body)
		}
	}
	session.Send(Text([]byte("next")))
	if _, body := s.do("GET", url, "", "X-Number", "3"); body != "4next" {
		t.Errorf("got %q", body)
	}
}
