// SPDX-License-Identifier: Apache-2.0

package microscope_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/microscope"
)

// What the page's forms send, as bytes.
func TestForms(t *testing.T) {
	m := microscope.New(microscope.Options{Limits: limits(), Doors: func() []microscope.Door { return nil }})
	defer m.Close()
	for _, tt := range []struct{ name, version, form, want string }{
		{"connect without anything", "", `{"type": "CONNECT", "version": "3.1.1", "clean_start": true}`, "10 0c 0004 4d515454 04 02 0000 0000"},
		{"connect of 3.1", "", `{"type": "CONNECT", "version": "3.1", "client_id": "a", "clean_start": true}`, "10 0f 0006 4d5149736470 03 02 0000 0001 61"},
		{"connect of 5.0 with everything", "", `{"type": "CONNECT", "version": "5.0", "client_id": "a", "keep_alive": 10, "username": "u", "password": "",
			"properties": {"session expiry interval": 10}, "will": {"topic": "w", "payload": "x", "qos": 2, "retain": true, "properties": {"content type": "t"}}}`,
			`10 23 0004 4d515454 05 f4 000a 05 11 0000000a 0001 61 04 03 0001 74 0001 77 0001 78 0001 75 0000`},
		{"publish in text", "3.1.1", `{"type": "PUBLISH", "topic": "t", "payload": "hi", "retain": true}`, "31 05 0001 74 6869"},
		{"publish in hex", "5.0", `{"type": "PUBLISH", "topic": "t", "payload_hex": "00 ff", "qos": 1, "dup": true,
			"properties": {"correlation data": "c", "payload format indicator": 1, "topic alias": 3}}`, "3a 11 0001 74 0001 09 01 01 09 0001 63 23 0003 00ff"},
		{"subscribe", "5.0", `{"type": "SUBSCRIBE", "filters": [{"filter": "a", "qos": 1, "no_local": true, "retain_as_published": true, "retain_handling": 2}],
			"properties": {"subscription identifier": 5, "user property": [["k", "v"]]}}`, "82 10 0001 09 0b 05 26 0001 6b 0001 76 0001 61 2d"},
		{"unsubscribe", "3.1.1", `{"type": "UNSUBSCRIBE", "id": 7, "filters": [{"filter": "a"}, {"filter": "b"}]}`, "a2 08 0007 0001 61 0001 62"},
		{"acknowledgement", "5.0", `{"type": "PUBREC", "id": 7, "code": 151}`, "50 03 0007 97"},
		{"disconnect", "5.0", `{"type": "DISCONNECT", "code": 4}`, "e0 01 04"},
		{"auth", "5.0", `{"type": "AUTH", "code": 24, "properties": {"authentication method": "m"}}`, "f0 06 18 04 15 0001 6d"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s microscope.Spec
			require.NoError(t, json.Unmarshal([]byte(tt.form), &s))
			p, err := m.Preview(microscope.Order{Packet: &s}, tt.version)
			require.NoError(t, err)
			require.Equal(t, dehex(t, tt.want), p.Bytes, "%x", p.Bytes)
			if s.Type != "PUBREC" {
				require.Empty(t, p.Fault)
			}
		})
	}
	for _, bad := range []string{
		`{"type": "PUBLISH", "topic": "t", "properties": {"no such": 1}}`,
		`{"type": "PUBLISH", "topic": "t", "properties": {"topic alias": "x"}}`,
		`{"type": "PUBLISH", "topic": "t", "properties": {"topic alias": 70000}}`,
		`{"type": "SUBSCRIBE", "properties": {"user property": "x"}}`,
		`{"type": "CONNECT", "version": "5.0", "will": {"properties": {"will delay interval": -1}}}`,
	} {
		var s microscope.Spec
		require.NoError(t, json.Unmarshal([]byte(bad), &s))
		_, err := m.Preview(microscope.Order{Packet: &s}, "5.0")
		var refused *microscope.RefusedError
		require.ErrorAs(t, err, &refused, bad)
	}
}
