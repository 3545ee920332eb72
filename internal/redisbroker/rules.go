package redisbroker

import "context"

// ruleKey is where moderators' decisions for a room are kept, or those for all
// rooms.
func (b *Broker) ruleKey(room string) (key, channel string) {
	if room == "" {
		return b.keys.cluster("rules"), b.keys.news()
	}
	return b.keys.room("rules", room), b.keys.live(room)
}

// Rules reads what moderators decided for the room, or for all rooms with "":
// field to value, as Rule set them.
func (b *Broker) Rules(ctx context.Context, room string) (map[string]string, error) {
	key, _ := b.ruleKey(room)
	return b.rdb.HGetAll(ctx, key).Result()
}

// Rule sets one field, or takes it away when value is empty, and publishes the
// payload in the room, or in the cluster's news. An empty field only publishes.
func (b *Broker) Rule(ctx context.Context, room, field, value string, payload []byte) error {
	key, channel := b.ruleKey(room)
	pipe := b.rdb.TxPipeline()
	switch {
	case field == "":
	case value == "":
		pipe.HDel(ctx, key, field)
	default:
		pipe.HSet(ctx, key, field, value)
	}
	_ = b.publish(ctx, pipe, channel, payload) // queued
	_, err := pipe.Exec(ctx)
	return err
}
