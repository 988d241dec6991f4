// SPDX-License-Identifier: Apache-2.0

// Package broker starts and stops a broker: the boot list as data, the event
// loops, the listeners. It is emqttd_app and emqttd_sup, and the only package
// besides the programs that may import everything.
//
//	emqttd_sup                  one_for_one
//	  store                     permanent; stops when the engine has answered everything
//	  retainer                  permanent
//	  pubsub_sup                one_for_one: router/0 ...
//	  sm_sup                    one_for_one: sm/0 ...
//	  sys                       permanent
//	  session_sup/N             simple_one_for_one, one per event loop
//	  client_sup/N              simple_one_for_one, one per event loop: ws_loop, ws_client, protocol
//	  esockd_sup                one_for_one: listener tcp:default, http_listener ws:default ...
//
// It stops from the bottom to the top (Shutdown), each step within
// runtime.child_shutdown.
//
// In emqttd the root was one_for_all, so that any permanent child took all others
// and every connection with it; here each repairs itself alone.
package broker
