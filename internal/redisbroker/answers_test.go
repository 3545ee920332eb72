package redisbroker

import "testing"

// Refusals of a command within a script are recognised on all servers. The texts are as
// the servers sent them. When only those of Redis 7.0 were known, a node on a later one
// was ready although its user lacked +xadd.
func TestAnswersAreClassified(t *testing.T) {
	const sha = "720469d7ed429f99b47477000128d0adc8068d95"
	const oldScript = "ERR Error running script (call to f_" + sha + "): @user_script:1: @user_script: 1: "
	for text, want := range map[string]string{
		// Redis 5.0 to 6.2.
		oldScript + "-OOM command not allowed when used memory > 'maxmemory'.":                          "oom",
		oldScript + "-READONLY You can't write against a read only replica.":                            "readonly",
		oldScript + "-NOREPLICAS Not enough good replicas to write.":                                    "noreplicas",
		oldScript + "-MISCONF Errors writing to the AOF file: No space left on device":                  "misconf",
		oldScript + "The user executing the script can't run this command or subcommand":                "noperm",
		oldScript + "Unknown Redis command called from Lua script":                                      "nocommand",
		oldScript + "Lua script attempted to execute a command while the cluster is down":               "clusterdown",
		"ERR Error running script (call to f_" + sha + "): @user_script:1: WRONGTYPE Operation against": "wrongtype",
		// Redis 7.0.15.
		"OOM command not allowed when used memory > 'maxmemory'. script: " + sha + ", on @user_script:1.":                      "oom",
		"ERR The user executing the script can't run this command or subcommand script: " + sha + ", on @user_script:1.":       "noperm",
		"ERR The user executing the script can't access at least one of the keys mentioned in the command arguments script: x": "noperm",
		"ERR The user executing the script can't publish to the channel mentioned in the command script: x":                    "noperm",
		"ERR Unknown Redis command called from script script: " + sha + ", on @user_script:1.":                                 "nocommand",
		"NOPERM this user has no permissions to run the 'set' command":                                                         "noperm",
		"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.":                               "busy",
		"ERR Script killed by user with SCRIPT KILL... script: " + sha + ", on @user_script:1.":                                "busy",
		"NOSCRIPT No matching script. Please use EVAL.":                                                                        "noscript",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.":                                     "masterdown",
		"CLUSTERDOWN Hash slot not served":                                                                    "clusterdown",
		"TRYAGAIN Multiple keys request during rehashing of slot":                                             "tryagain",
		"UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)":        "unblocked",
		"LOADING Redis is loading the dataset in memory":                                                      "loading",
		"ERR max number of clients reached":                                                                   "maxclients",
		"EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.": "oom",
		"ERR Can not execute the command on a stale replica script: x, on @user_script:1.":                    "masterdown",
		"ERR Script attempted to execute a write command while the cluster is down and readonly script: x":    "clusterdown",
		// Redis 8.0.6 and Redict 7.3.6.
		"ERR ACL failure in script: User u has no permissions to run the 'xadd' command script: " + sha + ", on @user_script:1.": "noperm",
		"ERR ACL failure in script: No permissions to access a key script: " + sha + ", on @user_script:1.":                      "noperm",
		"ERR ACL failure in script: No permissions to access a channel script: " + sha + ", on @user_script:1.":                  "noperm",
		"ERR Unknown Redict command called from script script: " + sha + ", on @user_script:1.":                                  "nocommand",
		"MISCONF Redict is configured to save RDB snapshots, but it's currently unable to persist to disk.":                      "misconf",
		// Valkey 9.1.2, without the script's name.
		"ERR ACL failure in script: User u has no permissions to run the 'xadd' command script: on @user_script:1.": "noperm",
		"OOM command not allowed when used memory > 'maxmemory'. script: on @user_script:1.":                        "oom",
		"READONLY You can't write against a read only replica. script: on @user_script:1.":                          "readonly",
		"NOREPLICAS Not enough good replicas to write. script: on @user_script:1.":                                  "noreplicas",
		"WRONGTYPE Operation against a key holding the wrong kind of value script: on @user_script:1.":              "wrongtype",
		"ERR Unknown command called from script script: on @user_script:1.":                                         "nocommand",
		"NOSCRIPT No matching script.": "noscript",
		"BUSY Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.": "busy",
		// The embedded broker.
		"ERR Error compiling script (new function): :1: WRONGTYPE Operation against a key": "wrongtype",
		// A word that only looks like a refusal.
		"ERR OOM is not what this is about": "other",
		"OOMPH":                             "other",
		"ERR a text of tomorrow":            "other",
	} {
		if got := kinds[kind(replyError(text))].name; got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}
