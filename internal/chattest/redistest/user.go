package redistest

import "strings"

// User and Password belong to the Redis user under which tests run.
const (
	User     = "chat"
	Password = "a-password-of-tests"
)

// Rules are the only permissions of that user: those that the README recommends for the
// namespace chat.
const Rules = "~chat:* &chat:* " +
	"+ping +select +time +asking +wait +cluster|slots +evalsha +eval +multi +exec " +
	"+publish +spublish +subscribe +unsubscribe +ssubscribe +sunsubscribe " +
	"+get +set +unlink +rename +exists +xadd +xdel +xlen +xrange +xrevrange " +
	"+hset +hget +hmget +hdel +hkeys +hlen +hgetall +hincrby +sadd +srem +smembers " +
	"+zadd +zrem +zscore +zcard +zcount +zrange +zrangebyscore +zremrangebyscore +zremrangebyrank"

// SetUser makes the user on each server.
func SetUser(servers ...*Server) {
	for _, s := range servers {
		s.t.Helper()
		args := []any{"ACL", "SETUSER", User, "reset", "on", ">" + Password}
		for _, rule := range strings.Fields(Rules) {
			args = append(args, rule)
		}
		s.Do(args...)
	}
}
