package redisbroker

import (
	"context"
	"encoding/json"

	"example.com/chat/internal/protocol"
)

// ruleKey returns the key and the channel of the moderators' decisions for a room, or for all
// rooms with "".
func (b *Rulebook) ruleKey(room string) (key, channel string) {
	if room == "" {
		return b.keys.cluster("rules"), b.keys.news()
	}
	return b.keys.room("rules", room), b.keys.live(room)
}

// Rules reads the rules in force for the room, or for all rooms with "". It skips fields
// that chat did not write.
func (b *Rulebook) Rules(ctx context.Context, room string) (map[string]protocol.Rule, error) {
	key, _ := b.ruleKey(room)
	fields, err := b.rdb.HGetAll(ctx, key).Result()
	if err != nil {
		return nil, err
	}
	list := make(map[string]protocol.Rule, len(fields))
	for field, value := range fields {
		var r protocol.Rule
		if json.Unmarshal([]byte(value), &r) == nil {
			list[field] = r
		}
	}
	return list, nil
}

// Decide writes a decision for its room, or for all rooms if it names none, and publishes
// it.
func (b *Rulebook) Decide(ctx context.Context, d protocol.Decision) error {
	line, err := encodeDecision(d)
	if err != nil {
		return err
	}
	key, channel := b.ruleKey(d.Room)
	pipe := b.rdb.TxPipeline()
	switch {
	case d.Field == "":
	case d.Rule == nil:
		pipe.HDel(ctx, key, d.Field)
	default:
		rule, err := json.Marshal(d.Rule)
		if err != nil {
			return err
		}
		pipe.HSet(ctx, key, d.Field, rule)
	}
	_ = b.publish(ctx, pipe, channel, line) // queued
	_, err = pipe.Exec(ctx)
	return err
}
