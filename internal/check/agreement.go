package check

import "example.com/chat/internal/protocol"

// agreement checks that all clients received the same entry at each place of a room. A
// wiped log counts as another one, and each stretch of a view must belong to one log.
type agreement struct {
	room *room
	logs []map[int64]*entry // by seq; the final one is the first
}

// verifyAgreement checks RuleDiffers, and that no key has more ids than the room had
// logs.
func verifyAgreement(r *room) {
	a := &agreement{room: r, logs: []map[int64]*entry{make(map[int64]*entry, len(r.log))}}
	for i := range r.log {
		a.logs[0][r.log[i].id.Seq] = &r.log[i]
	}
	for _, name := range r.clients() {
		for i := range r.views[name].seen {
			a.add(name, r.views[name].seen[i].list)
		}
	}
	a.verifyKeys()
}

// add finds the log that a client's stretch belongs to, and adds the stretch's entries
// to it.
func (a *agreement) add(client string, list []entry) {
	if len(list) == 0 {
		return
	}
	best, most := -1, -1
	var conflict, other *entry
	for i, log := range a.logs {
		common := 0
		for j := range list {
			e := log[list[j].id.Seq]
			if e == nil {
				continue
			}
			if !e.same(&list[j]) {
				if conflict == nil {
					conflict, other = &list[j], e
				}
				common = -1
				break
			}
			common++
		}
		if common > most {
			best, most = i, common
		}
	}
	switch {
	case best < 0 && len(a.logs) <= a.room.wipes():
		a.logs = append(a.logs, make(map[int64]*entry))
		best = len(a.logs) - 1
	case best < 0:
		a.room.violate(RuleDiffers, "%s received %s as %q of %s, where others have %s as %q of %s", client,
			conflict.id, conflict.key.key, conflict.key.user, other.id, other.key.key, other.key.user)
		return
	case most == 0 && a.room.wipes() > 0:
		return // it could be of any of the logs
	}
	for j := range list {
		a.logs[best][list[j].id.Seq] = &list[j]
	}
}

func (a *agreement) verifyKeys() {
	keys := make(map[userKey]map[protocol.ID]bool)
	for _, log := range a.logs {
		for _, e := range log {
			if keys[e.key] == nil {
				keys[e.key] = make(map[protocol.ID]bool)
			}
			keys[e.key][e.id] = true
		}
	}
	for k, ids := range keys {
		if len(ids) > 1+a.room.wipes() {
			a.room.violate(RuleTwice, "%q of %s was received under %d ids", k.key, k.user, len(ids))
		}
	}
}
