package redisbroker_test

import (
	"testing"

	"example.com/chat/internal/chattest/brokertest"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/redisbroker"
	"example.com/chat/internal/room"
)

// contract holds brokers at the sites that open returns to the contract of all brokers.
func contract(t *testing.T, open func(t *testing.T) *site) {
	t.Run("Contract", func(t *testing.T) {
		brokertest.Run(t, func(t *testing.T) *brokertest.Site { return open(t).contract(t) })
	})
}

// contract is the site as the suite uses one.
func (at *site) contract(t *testing.T) *brokertest.Site {
	look := &testBroker{rdb: at.outside(t), ns: "chat:" + t.Name()} // from outside
	if at.namespace != "" {
		look.ns = at.namespace
	}
	t.Cleanup(func() { _ = look.rdb.Close() })
	del := func(t *testing.T, keys ...string) {
		t.Helper()
		for _, key := range keys {
			if err := look.rdb.Del(t.Context(), key).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return &brokertest.Site{
		Open: func(t *testing.T, id string, history int, feed room.Feed) (room.Broker, func()) {
			b := openFor(t, at, redisbroker.Config{History: history, Node: cluster.NodeInfo{ID: id, Port: 1}}, feed)
			return b.Room(), b.stop
		},
		DeleteLog: func(t *testing.T, name string) { del(t, redisbroker.LogKey(look.ns, name)) },
		DropChanges: func(t *testing.T, name string) {
			if err := look.rdb.XTrimMaxLen(t.Context(), redisbroker.ChangesKey(look.ns, name), 0).Err(); err != nil {
				t.Fatal(err)
			}
		},
		Wipe: func(t *testing.T) { del(t, look.find(t, ":*")...) },
		Dump: func(t *testing.T) string { return look.everything(t) },
	}
}
