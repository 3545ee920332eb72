package embed

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"example.com/chat/embed/native"
)

// engine carries out commands on the miniredis, one at a time like Redis, whichever
// client they come from. That makes the scripts atomic that package native carries out.
type engine struct {
	mu     sync.Mutex // held while a command is carried out; guards the fields below
	redis  *server.Server
	native *native.Runner
	// blocking counts the commands that wait for something, without the lock. While there
	// are any, all scripts are interpreted, because miniredis may complete such a command
	// at any moment.
	blocking int
	loaded   map[string]bool // scripts that miniredis has, of those that package native knows
}

func newEngine(redis *miniredis.Miniredis, cfg BrokerConfig) (*engine, error) {
	conn, err := redis.Dial() // starts it without a listener
	if err != nil {
		return nil, err
	}
	_ = conn.Close()
	e := &engine{redis: redis.Server(), native: native.New(redis, cfg.Password, cfg.now), loaded: make(map[string]bool)}
	return e, nil
}

// do calls f while no other command is carried out, but those that wait.
func (e *engine) do(f func(*engine)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f(e)
}

// has reports whether miniredis has a script, which EVALSHA requires.
func (e *engine) has(sha string) bool {
	if !e.loaded[sha] {
		e.loaded[sha] = e.native.Loaded(sha)
	}
	return e.loaded[sha]
}

// connection is one connection to the broker.
type connection struct {
	broker *Broker
	in     *bufio.Reader
	peer   *server.Peer
	// interrupt ends a read of in that another goroutine waits for, until it is called
	// again; nil if reads don't wait.
	interrupt func(now bool)

	tries    int  // commands so far of a client that has not given the password
	admitted bool // it has given the password

	// What a script needs to know of the connection's state. The interpreter knows it
	// better: it carries out the scripts of connections in unusual ones.
	db         int
	multi      bool // MULTI has come, and neither EXEC nor DISCARD
	interprets bool // all scripts are interpreted
}

// replyBuffer is how much of a reply is written at once.
const replyBuffer = 16 << 10

func newConnection(b *Broker, in io.Reader, out io.Writer) *connection {
	return &connection{broker: b, in: bufio.NewReader(in), peer: server.NewPeer(bufio.NewWriterSize(out, replyBuffer))}
}

// serve carries out the commands that can be read, until the client or in ends. The error
// is nil at the client's QUIT.
func (c *connection) serve() error {
	for !c.peer.Closed() {
		if err := c.next(); err != nil {
			return err
		}
	}
	return nil
}

// next reads one command, and carries it out.
func (c *connection) next() error {
	most := friend
	if !c.admitted {
		if c.tries++; c.tries > strangerCommands {
			return c.refuse()
		}
		most = stranger
	}
	words, err := readCommand(c.in, most)
	switch {
	case errors.Is(err, errProtocol):
		return c.refuse()
	case err != nil || len(words) == 0: // Redis takes no notice of an empty command either
		return err
	case !c.admitted:
		c.admit(words)
	default:
		c.execute(words)
	}
	return nil
}

// refuse replies to a client that does not speak Redis's protocol.
func (c *connection) refuse() error {
	c.peer.WriteRaw("-ERR Protocol error\r\n")
	c.peer.Flush()
	return errProtocol
}

// end frees what miniredis keeps of a client.
func (c *connection) end() {
	c.broker.engine.do(func(e *engine) {
		for _, command := range [...]string{"DISCARD", "UNSUBSCRIBE", "PUNSUBSCRIBE"} {
			e.redis.Dispatch(c.peer, []string{command})
		}
	})
}

// execute carries out one command. The reply is written once no further command has
// arrived.
func (c *connection) execute(words []string) {
	name := strings.ToUpper(words[0])
	if blocks[name] && !c.multi {
		c.wait(words)
	} else {
		c.broker.engine.do(func(e *engine) {
			if name == "EVALSHA" {
				done := c.native(e, words[1:])
				if c.broker.cfg.trace != nil {
					c.broker.cfg.trace(done)
				}
				if done {
					return
				}
			}
			c.note(name, words[1:])
			e.redis.Dispatch(c.peer, words)
		})
	}
	if c.in.Buffered() == 0 || c.peer.Closed() {
		c.peer.Flush()
	}
}

// native carries out EVALSHA by package native. It returns false, having changed nothing,
// if miniredis must do it.
func (c *connection) native(e *engine, args []string) bool {
	const fixed = 2
	if len(args) < fixed || c.multi || c.interprets || !e.native.Knows(args[0]) || e.blocking > 0 {
		return false
	}
	n, err := strconv.Atoi(args[1])
	rest := args[fixed:]
	if err != nil || n < 0 || n > len(rest) || !e.has(args[0]) {
		return false
	}
	reply, done := e.native.Run(c.db, args[0], rest[:n], rest[n:])
	if done {
		c.peer.WriteRaw(string(reply))
	}
	return done
}

// note follows the connection's state.
func (c *connection) note(name string, args []string) {
	switch name {
	case "MULTI":
		c.multi = true
	case "EXEC", "DISCARD":
		c.multi = c.multi && len(args) > 0 // with arguments they are refused
	case "SELECT":
		if n, err := strconv.Atoi(strings.Join(args, " ")); c.multi {
			c.interprets = true // EXEC decides
		} else if err == nil && n >= 0 {
			c.db = n
		}
	case "SUBSCRIBE", "PSUBSCRIBE":
		c.interprets = true // before version 3 of the protocol these connections run no scripts
	case "SCRIPT":
		clear(c.broker.engine.loaded)
	}
}

// wait carries out a command that may wait, while others go on. A client that goes away
// meanwhile ends it.
func (c *connection) wait(words []string) {
	e := c.broker.engine
	c.peer.Flush() // the replies before
	e.do(func(e *engine) { e.blocking++ })
	defer e.do(func(e *engine) { e.blocking-- })
	if c.interrupt == nil {
		e.redis.Dispatch(c.peer, words)
		return
	}
	done := make(chan struct{})
	go func() { // ends with the client, its next command or the interrupt below; waited for
		defer close(done)
		if _, err := c.in.Peek(1); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			c.peer.Close()
		}
	}()
	e.redis.Dispatch(c.peer, words)
	c.interrupt(true)
	<-done
	c.interrupt(false)
}

// blocks are the commands of miniredis that may wait.
var blocks = map[string]bool{
	"BLPOP": true, "BRPOP": true, "BRPOPLPUSH": true, "BLMOVE": true,
	"BZPOPMIN": true, "BZPOPMAX": true, "BZMPOP": true, "XREAD": true, "XREADGROUP": true,
}
