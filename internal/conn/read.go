package conn

import (
	"io"
	"sync"
)

// pieceSize is how much is read at once.
const pieceSize = 4 << 10

// buffers are borrowed while their contents are handled.
var buffers = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// releaseBuffer returns a borrowed buffer to the pool.
func releaseBuffer(b []byte) { buffers.Put((*[pieceSize]byte)(b[:pieceSize])) }

// reader returns a function that reads the next bytes into a borrowed buffer. Where the
// system allows it, no buffer is held while it waits.
func (c *Conn) reader() func() ([]byte, error) {
	if c.raw == nil || !canDoNow {
		return c.readBlocking
	}
	r := &socketReader{}
	try := func(fd uintptr) bool {
		buf := buffers.Get().(*[pieceSize]byte)
		n, wait, err := readNow(fd, buf[:])
		if wait {
			buffers.Put(buf)
			return false
		}
		r.got, r.err = buf[:n], err
		return true
	}
	return func() ([]byte, error) {
		if err := c.raw.Read(try); err != nil {
			return nil, err
		}
		if r.err == nil && len(r.got) == 0 {
			r.err = io.EOF
		}
		if r.err != nil {
			releaseBuffer(r.got)
		}
		return r.got, r.err
	}
}

// socketReader is the result of one read.
type socketReader struct {
	got []byte
	err error
}

func (c *Conn) readBlocking() ([]byte, error) {
	buf := buffers.Get().(*[pieceSize]byte)
	n, err := c.net.Read(buf[:])
	if n > 0 {
		return buf[:n], nil
	}
	buffers.Put(buf)
	if err == nil {
		err = io.ErrNoProgress
	}
	return nil, err
}
