package replica

import "example.com/chat/internal/protocol"

// Memory is what a Replica knows of the log at its head: the newest entries of all kinds,
// and the newest messages as they stand. It answers joins and history, and can be
// extended by older entries and messages. Like its Replica it is not safe for
// concurrent use.
type Memory struct {
	head     protocol.ID // the newest entry that was delivered
	synced   bool        // head and messages are known
	tail     tail
	messages messages
	copy     []protocol.Entry // see copied; of the present head
}

// Head returns the newest entry that was delivered; zero for an empty log.
func (mem *Memory) Head() protocol.ID { return mem.head }

// Synced reports whether the log has been read since New.
func (mem *Memory) Synced() bool { return mem.synced }

// Epoch identifies the log that the replica follows. It changes with each reset.
func (mem *Memory) Epoch() int { return mem.tail.epoch }

// enter makes an entry the head. If it deletes a message it returns that one's id, else
// zero.
func (mem *Memory) enter(e protocol.Entry) (deleted protocol.ID) {
	mem.head, mem.copy = e.ID, nil
	mem.tail.push(e)
	if c, changes := e.Modification(); changes {
		mem.messages.apply(c)
		if c.Kind == protocol.Delete {
			mem.tail.erase(c.Target)
			return c.Target
		}
	} else if e.IsMessage() {
		mem.tail.expire(mem.messages.push(e))
	}
	return protocol.ID{}
}

// restart replaces what is known by the log's newest messages.
func (mem *Memory) restart(newest protocol.Page) {
	mem.copy = nil
	mem.messages.set(newest)
	mem.tail.begin(newest.Head)
	mem.head, mem.synced = newest.Head.ID, true
}
