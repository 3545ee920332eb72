package client

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/protocol"
)

// errSilent reports that nothing was received for too long.
var errSilent = errors.New("nothing was heard from the node")

// socket reads and writes the frames of one WebSocket. Its methods are safe for
// concurrent use: gorilla/websocket allows one reader and one writer at a time, and
// leaves the order to its caller, so each side has a lock. No other lock is taken under
// either.
type socket struct {
	ws      *websocket.Conn
	netConn *timeoutConn

	writing sync.Mutex // held while a frame is written
	reading sync.Mutex // held while a frame is read, and by leave if no goroutine reads
}

// write writes a text frame within the timeout.
func (s *socket) write(frame []byte, timeout time.Duration) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.ws.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	return s.ws.WriteMessage(websocket.TextMessage, frame)
}

// read reads an event. The error is a *ClosedError if the node sent a close frame.
func (s *socket) read() (Event, error) {
	kind, frame, err := s.readFrame()
	if err != nil {
		return Event{}, s.explain(err)
	}
	if kind != websocket.TextMessage {
		return Event{}, errors.New("the node sent a binary frame, which the protocol does not know")
	}
	return decodeEvent(frame)
}

func (s *socket) readFrame() (kind int, frame []byte, err error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	return s.ws.ReadMessage()
}

// explain converts an error of the WebSocket into one that says what happened.
func (s *socket) explain(err error) error {
	var closed *websocket.CloseError
	var timeout net.Error
	switch {
	case errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure:
		return &ClosedError{Code: closed.Code, Reason: closed.Text}
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%w: %w for %s", ErrLost, errSilent, time.Duration(s.netConn.timeout.Load()))
	case closed != nil, errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%w: the node broke it off", ErrLost)
	case errors.Is(err, websocket.ErrReadLimit):
		return fmt.Errorf("the node sent too large a frame: %w", err)
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}

// leave sends a close frame, and limits the wait for the node's. If no goroutine is in
// read, leave receives that frame itself and returns true.
func (s *socket) leave(wait time.Duration) (received bool) {
	bye := websocket.FormatCloseMessage(protocol.CloseNormal, "")
	_ = s.ws.WriteControl(websocket.CloseMessage, bye, time.Now().Add(wait))
	s.netConn.limit(wait)
	if !s.reading.TryLock() {
		return false
	}
	defer s.reading.Unlock()
	for err := error(nil); err == nil; {
		_, _, err = s.ws.ReadMessage()
	}
	return true
}

// close closes the network connection, which ends a read.
func (s *socket) close() { _ = s.ws.Close() }

// timeoutConn is a network connection with a read timeout. Only time within Read counts, and
// every byte restarts it, so a long frame on a slow link does not time out.
type timeoutConn struct {
	net.Conn
	began   time.Time
	timeout atomic.Int64 // timeout of one Read, in ns; 0 for none
	heard   atomic.Int64 // when the last byte was received, in ns since began
}

// Read implements io.Reader with the timeout.
func (l *timeoutConn) Read(b []byte) (int, error) {
	if bound := l.timeout.Load(); bound > 0 {
		if err := l.SetReadDeadline(time.Now().Add(time.Duration(bound))); err != nil {
			return 0, err
		}
	}
	n, err := l.Conn.Read(b)
	if n > 0 {
		l.heard.Store(int64(time.Since(l.began)))
	}
	return n, err
}

func (l *timeoutConn) quiet() time.Duration {
	return time.Since(l.began) - time.Duration(l.heard.Load())
}

// limit limits the current and all later Reads to a short wait.
func (l *timeoutConn) limit(wait time.Duration) {
	l.timeout.Store(int64(wait))
	_ = l.SetReadDeadline(time.Now().Add(wait))
}
