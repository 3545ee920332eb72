// Package chattest holds what tests start and wait for: processes of the program, clients
// of its protocol, conditions, and programs that may not be installed. Sub-packages hold
// what needs more of the chat: redistest starts Redis servers, fakenode nodes that
// misbehave as a test decides, and faultbroker injects faults between a hub and its
// broker.
//
// Only tests import it. It imports only internal/protocol and internal/procstat of the
// chat, so that tests of every other package can use it.
package chattest
