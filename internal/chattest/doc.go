// Package chattest is what tests start and wait for: processes of the program,
// clients of its protocol, conditions, and programs that may not be installed.
// Sub-packages hold what needs more of the chat: redistest starts Redis servers,
// fakenode starts nodes that misbehave on command, and faultbroker injects faults
// between a hub and its broker.
//
// Only tests import it. Of the chat's packages it imports internal/protocol alone, so
// that tests of every other package can use it.
package chattest
