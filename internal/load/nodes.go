package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// Limits on the work and memory that nodes can cause.
const (
	maxNodes = 200
	maxPage  = 64 << 20
	// pageWithin is how long a node may take to answer with a page of a log.
	pageWithin = 10 * time.Second
)

// nodeList holds the nodes of a cluster, as they announce them. Its methods are safe for
// concurrent use. mu is not held during requests.
type nodeList struct {
	first  string // the address that was given
	notice func(string)
	http   http.Client

	mu       sync.Mutex // guards the fields below
	list     []string
	reported map[string]bool // errors already passed to notice, by their text
	why      error           // the newest error of a client that was never welcomed
	turns    int
}

func newNodeList(first string, notice func(string)) *nodeList {
	n := &nodeList{first: first, notice: notice, reported: make(map[string]bool)}
	n.http.Timeout = pageWithin
	n.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // nodes do not redirect
	return n
}

// learn replaces the list by the nodes that a node announces. Invalid URLs are left out.
func (n *nodeList) learn(nodes []protocol.Node) {
	list := client.Candidates(n.first, nodes)
	if len(list) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = list[:min(len(list), maxNodes)]
}

// urls returns the addresses of the nodes, or the one that was given.
func (n *nodeList) urls() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.list) == 0 {
		return []string{n.first}
	}
	return n.list
}

// failed reports each address that can't be reached once, with the reason.
func (n *nodeList) failed(err error) {
	var absent *client.UnreachableError
	if n.notice == nil || !errors.As(err, &absent) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if text := absent.Error(); !n.reported[text] && len(n.reported) < maxNodes {
		n.reported[text] = true
		n.notice(text)
	}
}

// keptOut records why a client failed to connect, unless it was welcomed before.
func (n *nodeList) keptOut(err error, welcomed bool) {
	if welcomed {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.why = err
}

// whyOutside returns the newest of these reasons; nil if there is none.
func (n *nodeList) whyOutside() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.why
}

// dialer returns a function that connects one client, each try to another node.
func (n *nodeList) dialer() func(context.Context, string, int) (Wire, error) {
	dial := Dialer(newRandom(), n.urls, client.Timing{})
	welcomed := false
	return func(ctx context.Context, token string, try int) (Wire, error) {
		w, err := dial(ctx, token, try)
		if err != nil {
			if ctx.Err() == nil {
				n.failed(err)
				n.keptOut(err, welcomed)
			}
			return nil, err
		}
		welcomed = true
		n.learn(w.Welcome().Nodes)
		return &learning{w, n}, nil
	}
}

// learning is a Wire that passes changes of the cluster to a nodeList.
type learning struct {
	Wire
	nodes *nodeList
}

// Read returns the next event (Wire).
func (l *learning) Read() (client.Event, error) {
	e, err := l.Wire.Read()
	if err == nil && e.Type == protocol.NodesName {
		var change protocol.NodesEvent
		if e.Decode(&change) == nil {
			l.nodes.learn(change.Nodes)
		}
	}
	return e, err
}

// readLogs reads the logs of rooms page by page, and the id of the newest entry of
// each. most bounds the entries of all: a node that serves more than were sent is at
// fault.
func (n *nodeList) readLogs(ctx context.Context, rooms map[string]bool, most int) (list []check.Record, heads map[string]string, err error) {
	heads = make(map[string]string)
	for room := range rooms {
		log, err := n.readLog(ctx, room, most)
		if err != nil {
			return nil, nil, err
		}
		if len(log) > 0 {
			heads[room] = log[len(log)-1].ID
		}
		list = append(list, log...)
	}
	return list, heads, nil
}

// readLog reads the log of one room, oldest entry first.
func (n *nodeList) readLog(ctx context.Context, room string, most int) ([]check.Record, error) {
	var newestFirst []check.Record
	for before, more := "", true; more; {
		page, err := n.page(ctx, room, before)
		if err != nil {
			return nil, err
		}
		for _, raw := range slices.Backward(page.Messages) {
			var m client.Entry
			if err := json.Unmarshal(raw, &m); err != nil {
				return nil, fmt.Errorf("a node gave what is no entry for room %s: %w", room, err)
			}
			r := entryRecord(m)
			r.Op = check.OpLog
			newestFirst = append(newestFirst, r)
			before = m.ID
		}
		if len(newestFirst) > most {
			return nil, fmt.Errorf("the log of room %s does not end: a node gave more than %d entries", room, most)
		}
		more = page.More && len(page.Messages) > 0
	}
	slices.Reverse(newestFirst)
	return newestFirst, nil
}

// page reads a page from one of the nodes; the next call asks another.
func (n *nodeList) page(ctx context.Context, room, before string) (page protocol.HistoryEvent, err error) {
	urls := n.urls()
	n.mu.Lock()
	n.turns++
	turn := n.turns
	n.mu.Unlock()
	for i := range urls {
		if page, err = n.pageOf(ctx, urls[(turn+i)%len(urls)], room, before); err == nil {
			return page, nil
		}
	}
	return page, err
}

// pageOf reads a page from one node.
func (n *nodeList) pageOf(ctx context.Context, base, room, before string) (page protocol.HistoryEvent, err error) {
	if rest, ok := strings.CutPrefix(base, "ws"); ok {
		base = "http" + rest
	}
	query := url.Values{"limit": {strconv.Itoa(protocol.MaxHistory)}}
	if before != "" {
		query.Set("before", before)
	}
	address := strings.TrimSuffix(base, "/") + "/api/rooms/" + url.PathEscape(room) + "/messages?" + query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return page, err
	}
	res, err := n.http.Do(req)
	if err != nil {
		return page, &client.UnreachableError{URL: base, Err: err}
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return page, fmt.Errorf("%s answers %s", address, res.Status)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxPage))
	if err != nil {
		return page, fmt.Errorf("read %s: %w", address, err)
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return page, fmt.Errorf("%s answers what is no history: %w", address, err)
	}
	return page, nil
}
