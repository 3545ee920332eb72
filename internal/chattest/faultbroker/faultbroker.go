// Package faultbroker injects faults between a hub and its broker, whichever that is:
// calls that fail, are lost or answered late; entries that are changed on their way; live
// posts that are lost, repeated or late.
//
// An Injector wraps both directions: Broker the calls of the hub, and Feed what the broker
// delivers. Its Faults decide what happens to each.
package faultbroker

import (
	"context"
	"sync"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// Op names a method of room.Broker.
type Op string

// The methods that may fail.
const (
	Append   Op = "Append"
	Messages Op = "Messages"
	Before   Op = "Before"
	After    Op = "After"
	Heads    Op = "Heads"
	Moved    Op = "Moved"
	Typing   Op = "Typing"
	Here     Op = "Here"
	Vacate   Op = "Vacate"
	Present  Op = "Present"
	Claim    Op = "Claim"
	Rename   Op = "Rename"
	Rules    Op = "Rules"
	Decide   Op = "Decide"
)

// Post is one delivery of entries (room.Feed): List follows the entry Before in the room.
type Post struct {
	Room   string
	Before protocol.ID
	List   []protocol.Entry
}

// Deliver delivers the post to a feed.
func (p Post) Deliver(to room.Feed) { to.Entries(p.Room, p.Before, p.List) }

// Faults decide what goes wrong. Nil fields change nothing. Calls may come concurrently,
// deliveries of one node do not.
type Faults struct {
	// Call runs instead of a call. do carries the call out, once, during Call or later; the
	// caller gets the results of do if Call returns nil, else the error alone.
	Call func(ctx context.Context, op Op, do func(context.Context) error) error
	// Append runs instead of the appends that Call carries out. do carries one out.
	Append func(room string, drafts []protocol.Draft, do func([]protocol.Draft) ([]protocol.Receipt, error)) ([]protocol.Receipt, error)
	// Read changes the entries that Before and After have read, and whether there are more.
	Read func(list []protocol.Entry, more bool) ([]protocol.Entry, bool)
	// Page changes what Messages has read.
	Page func(protocol.Page) protocol.Page
	// Moved changes the rooms that Moved has returned.
	Moved func(names []string) []string
	// Entries runs instead of a delivery of entries. deliver delivers a post, later too.
	Entries func(p Post, deliver func(Post))
	// Publish runs instead of each delivery that may be lost, late and repeated: of
	// entries, presence, typing, decisions and renames. deliver carries it out, later too.
	Publish func(deliver func())
}

// Injector injects Faults. Its zero value injects none. It is safe for concurrent use.
type Injector struct {
	mu     sync.Mutex // guards the fields below
	faults Faults
	calls  map[Op]int
}

// Set replaces the faults.
func (i *Injector) Set(f Faults) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.faults = f
}

// Calls returns how many calls there were of any of the methods.
func (i *Injector) Calls(ops ...Op) (n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, op := range ops {
		n += i.calls[op]
	}
	return n
}

func (i *Injector) now() Faults {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.faults
}

func (i *Injector) count(op Op) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.calls == nil {
		i.calls = make(map[Op]int)
	}
	i.calls[op]++
}

// Broker returns the broker with the faults. Instance, Follow, Unfollow and Release have
// none.
func (i *Injector) Broker(b room.Broker) room.Broker {
	c := &calls{b, i}
	return room.Broker{Log: c, Subscriber: c, Presence: c, Names: c, Rulebook: c}
}

// Feed returns a feed that delivers to another one, with the faults.
func (i *Injector) Feed(to room.Feed) room.Feed { return &feed{to, i} }

// calls is a broker with faults.
type calls struct {
	room.Broker
	*Injector
}

// through passes a call with one result through the faults. What a call returns after it
// was given up is dropped.
func through[A any](ctx context.Context, i *Injector, op Op, call func(context.Context) (A, error)) (A, error) {
	i.count(op)
	f := i.now()
	if f.Call == nil {
		return call(ctx)
	}
	var mu sync.Mutex // guards result
	var result, none A
	err := f.Call(ctx, op, func(ctx context.Context) error {
		a, err := call(ctx)
		mu.Lock()
		defer mu.Unlock()
		result = a
		return err
	})
	if err != nil {
		return none, err
	}
	mu.Lock()
	defer mu.Unlock()
	return result, nil
}

// void is the result of a call that returns an error alone.
func void(call func(context.Context) error) func(context.Context) (struct{}, error) {
	return func(ctx context.Context) (struct{}, error) { return struct{}{}, call(ctx) }
}

// Append appends drafts, or not (room.Log).
func (c *calls) Append(ctx context.Context, name string, drafts []protocol.Draft) ([]protocol.Receipt, error) {
	return through(ctx, c.Injector, Append, func(ctx context.Context) ([]protocol.Receipt, error) {
		do := func(drafts []protocol.Draft) ([]protocol.Receipt, error) { return c.Broker.Append(ctx, name, drafts) }
		if f := c.now(); f.Append != nil {
			return f.Append(name, drafts, do)
		}
		return do(drafts)
	})
}

// Messages reads messages, or not (room.Log).
func (c *calls) Messages(ctx context.Context, name string, before protocol.ID, n int) (protocol.Page, error) {
	return through(ctx, c.Injector, Messages, func(ctx context.Context) (protocol.Page, error) {
		page, err := c.Broker.Messages(ctx, name, before, n)
		if f := c.now(); f.Page != nil && err == nil {
			page = f.Page(page)
		}
		return page, err
	})
}

// piece is the result of a read of entries.
type piece struct {
	list        []protocol.Entry
	found, more bool
}

func (c *calls) changed(p piece) piece {
	if f := c.now(); f.Read != nil {
		p.list, p.more = f.Read(p.list, p.more)
	}
	return p
}

// Before reads entries, or not (room.Log).
func (c *calls) Before(ctx context.Context, name string, id protocol.ID, n int) ([]protocol.Entry, bool, error) {
	p, err := through(ctx, c.Injector, Before, func(ctx context.Context) (p piece, err error) {
		p.list, p.more, err = c.Broker.Before(ctx, name, id, n)
		return c.changed(p), err
	})
	return p.list, p.more, err
}

// After reads entries, or not (room.Log).
func (c *calls) After(ctx context.Context, name string, cursor protocol.ID, n int) ([]protocol.Entry, bool, bool, error) {
	p, err := through(ctx, c.Injector, After, func(ctx context.Context) (p piece, err error) {
		p.list, p.found, p.more, err = c.Broker.After(ctx, name, cursor, n)
		return c.changed(p), err
	})
	return p.list, p.found, p.more, err
}

// Heads reads the newest entries of rooms, or not (room.Log).
func (c *calls) Heads(ctx context.Context, rooms []string) ([]protocol.ID, error) {
	return through(ctx, c.Injector, Heads, func(ctx context.Context) ([]protocol.ID, error) { return c.Broker.Heads(ctx, rooms) })
}

// Moved returns rooms with other entries, or not (room.Log).
func (c *calls) Moved(ctx context.Context, rooms []protocol.RoomHead) ([]string, error) {
	return through(ctx, c.Injector, Moved, func(ctx context.Context) ([]string, error) {
		names, err := c.Broker.Moved(ctx, rooms)
		if f := c.now(); f.Moved != nil && err == nil {
			names = f.Moved(names)
		}
		return names, err
	})
}

// Typing publishes that a user is typing, or not (room.Subscriber).
func (c *calls) Typing(ctx context.Context, name string, u protocol.User) error {
	_, err := through(ctx, c.Injector, Typing, void(func(ctx context.Context) error { return c.Broker.Typing(ctx, name, u) }))
	return err
}

// Here writes which users are in the room, or not (room.Presence).
func (c *calls) Here(ctx context.Context, instance, name string, changes []protocol.Change) (int, error) {
	return through(ctx, c.Injector, Here, func(ctx context.Context) (int, error) {
		return c.Broker.Here(ctx, instance, name, changes)
	})
}

// Vacate removes what the instance wrote about the rooms, or not (room.Presence).
func (c *calls) Vacate(ctx context.Context, instance string, names ...string) error {
	_, err := through(ctx, c.Injector, Vacate, void(func(ctx context.Context) error { return c.Broker.Vacate(ctx, instance, names...) }))
	return err
}

// Present reads the users in the room, or not (room.Presence).
func (c *calls) Present(ctx context.Context, name string) ([]protocol.User, error) {
	return through(ctx, c.Injector, Present, func(ctx context.Context) ([]protocol.User, error) { return c.Broker.Present(ctx, name) })
}

// Claim claims a name, or not (room.Names).
func (c *calls) Claim(ctx context.Context, n protocol.NameClaim) (string, error) {
	return through(ctx, c.Injector, Claim, func(ctx context.Context) (string, error) { return c.Broker.Claim(ctx, n) })
}

// Rename gives a user another name, or not (room.Names).
func (c *calls) Rename(ctx context.Context, n protocol.NameClaim, mark string) (string, error) {
	return through(ctx, c.Injector, Rename, func(ctx context.Context) (string, error) { return c.Broker.Rename(ctx, n, mark) })
}

// Rules reads the rules in force, or not (room.Rulebook).
func (c *calls) Rules(ctx context.Context, name string) (map[string]protocol.Rule, error) {
	return through(ctx, c.Injector, Rules, func(ctx context.Context) (map[string]protocol.Rule, error) {
		return c.Broker.Rules(ctx, name)
	})
}

// Decide writes a decision, or not (room.Rulebook).
func (c *calls) Decide(ctx context.Context, d protocol.Decision) error {
	_, err := through(ctx, c.Injector, Decide, void(func(ctx context.Context) error { return c.Broker.Decide(ctx, d) }))
	return err
}

// feed is a feed with faults.
type feed struct {
	room.Feed
	*Injector
}

func (f *feed) publish(deliver func()) {
	if faults := f.now(); faults.Publish != nil {
		faults.Publish(deliver)
		return
	}
	deliver()
}

// Entries delivers entries, or not (room.Feed).
func (f *feed) Entries(name string, before protocol.ID, list []protocol.Entry) {
	p := Post{name, before, list}
	f.publish(func() {
		if faults := f.now(); faults.Entries != nil {
			faults.Entries(p, func(p Post) { p.Deliver(f.Feed) })
			return
		}
		p.Deliver(f.Feed)
	})
}

// Presence delivers which users joined and left, or not (room.Feed).
func (f *feed) Presence(name string, d protocol.PresenceDelta) {
	f.publish(func() { f.Feed.Presence(name, d) })
}

// Typing delivers that a user is typing, or not (room.Feed).
func (f *feed) Typing(name string, u protocol.User) { f.publish(func() { f.Feed.Typing(name, u) }) }

// Moderated delivers a decision, or not (room.Feed).
func (f *feed) Moderated(d protocol.Decision) { f.publish(func() { f.Feed.Moderated(d) }) }

// Renamed delivers a user's new name, or not (room.Feed).
func (f *feed) Renamed(mark string, u protocol.User) { f.publish(func() { f.Feed.Renamed(mark, u) }) }
