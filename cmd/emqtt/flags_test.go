// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
)

func parsed(t *testing.T, tool string, args ...string) *settings {
	t.Helper()
	s := newSettings(tool)
	require.NoError(t, s.parse(args))
	return s
}

func TestGrammar(t *testing.T) {
	for _, c := range []struct {
		name  string
		args  []string
		check func(t *testing.T, s *settings)
	}{
		{"a value may begin with a dash", []string{"-x", "-1", "-m", "-n"}, func(t *testing.T, s *settings) {
			require.Equal(t, uint32(never), s.expiry)
			require.Equal(t, "-n", string(s.pub.message))
		}},
		{"a value may be empty", []string{"-m", "", "-u", ""}, func(t *testing.T, s *settings) {
			require.Equal(t, byte('m'), s.pub.mode)
			require.True(t, s.hasUsername)
		}},
		{"long and short forms", []string{"--port", "1", "--host", "h", "--qos", "2", "--topic", "t"}, func(t *testing.T, s *settings) {
			require.Equal(t, "h 1 2 [t]", join(s.host, s.port, s.qos, s.topics))
		}},
		{"the last of an option counts", []string{"-p", "1", "-p", "2", "-t", "a", "-t", "b"}, func(t *testing.T, s *settings) {
			require.Equal(t, "2 [b]", join(s.port, s.topics))
		}},
		{"attached values, which mosquitto has not", []string{"-p7", "--host=h=1", "-drq1"}, func(t *testing.T, s *settings) {
			require.Equal(t, "7 h=1 true true 1", join(s.port, s.host, s.debug, s.pub.retain, s.qos))
		}},
		{"a property takes three arguments, a user property four, and both mean 5.0", []string{
			"-D", "publish", "content-type", "text", "-D", "PUBLISH", "user-property", "-D", "v", "-D", "will", "will-delay-interval", "3", "-r",
		}, func(t *testing.T, s *settings) {
			require.Equal(t, packet.V5, s.version)
			require.Equal(t, "text", s.props[packet.PUBLISH].ContentType)
			require.Equal(t, []packet.UserProperty{{Key: "-D", Value: "v"}}, s.props[packet.PUBLISH].User)
			require.Equal(t, uint32(3), s.props[packet.WillPlace].WillDelay)
			require.True(t, s.pub.retain)
		}},
		{"a URL is server, user and topic", []string{"-L", "mqtts://u:p%40@h:1/a/b%20c"}, func(t *testing.T, s *settings) {
			require.Equal(t, "h 1 u p@ [a/b c] true false", join(s.host, s.port, s.username, s.password, s.topics, s.tls.on, s.webSocket))
		}},
		{"a WebSocket URL too", []string{"-L", "wss://[::1]/t"}, func(t *testing.T, s *settings) {
			require.Equal(t, "::1 0 [t] true true false", join(s.host, s.port, s.topics, s.tls.on, s.webSocket, s.hasUsername))
		}},
		{"a delay need not be whole", []string{"--repeat", "3", "--repeat-delay", "0.25"}, func(t *testing.T, s *settings) {
			require.Equal(t, 250*time.Millisecond, s.pub.repeatDelay)
		}},
	} {
		t.Run(c.name, func(t *testing.T) { c.check(t, parsed(t, "pub", c.args...)) })
	}

	t.Run("sub takes many topics", func(t *testing.T) {
		s := parsed(t, "sub", "-L", "mqtt://h/a", "-t", "b/#", "-T", "c", "-U", "d", "-vN", "-C", "3")
		require.Equal(t, "[a b/#] [c] [d] true true 3", join(s.topics, s.sub.filterOut, s.sub.unsubscribe, s.sub.verbose, s.sub.noNewline, s.sub.count))
	})
}

func TestUsageErrors(t *testing.T) {
	for _, c := range []struct {
		tool, want string
		args       []string
	}{
		{"pub", "Both topic and message must be supplied.", nil},
		{"pub", "Both topic and message must be supplied.", []string{"-t", "t"}},
		{"sub", "You must specify a topic to subscribe to.", []string{"-U", "t"}},
		{"pub", "Unknown option '--bogus'.", []string{"--bogus"}},
		{"pub", "Unknown option 'extra'.", []string{"-m", "x", "extra"}},
		{"pub", "Unknown option '-vt'.", []string{"-vt"}},
		{"sub", "Unknown option '-m'.", []string{"-m"}},
		{"pub", "-p argument given but no port specified.", []string{"-p"}},
		{"pub", "--will-payload argument given but no will payload specified.", []string{"--will-payload"}},
		{"pub", "Invalid port given: 70000", []string{"-p", "70000"}},
		{"pub", "Invalid QoS given: 3", []string{"-q", "3"}},
		{"pub", "Invalid keepalive given, it must be between 5 and 65535 inclusive.", []string{"-k", "4"}},
		{"pub", "Invalid protocol version argument given.", []string{"-V", "6"}},
		{"pub", "Invalid publish topic 'a/#', does it contain '+' or '#'?", []string{"-t", "a/#"}},
		{"sub", "Invalid subscription topic 'a/#b', are all '+' and '#' wildcards correct?", []string{"-t", "a/#b"}},
		{"pub", "Only one type of message can be sent at once.", []string{"-m", "x", "-n"}},
		{"pub", "-i and -I argument cannot be used together.", []string{"-i", "a", "-I", "b"}},
		{"pub", "unsupported URL scheme.", []string{"-L", "http://h/t"}},
		{"pub", "Invalid URL for -L argument specified - topic missing.", []string{"-L", "mqtt://h"}},
		{"pub", "You must provide a client id if you are using the -c option.", []string{"-c", "-t", "t", "-n"}},
		{"pub", "You must provide a client id if you are using an infinite session expiry interval.", []string{"-V", "5", "-x", "∞", "-t", "t", "-n"}},
		{"pub", "session-expiry-interval out of range.", []string{"-x", "4294967296"}},
		{"pub", "session-expiry-interval not a number.", []string{"-x", "x"}},
		{"pub", "Invalid command given in --property argument.", []string{"-D", "foo", "x", "y"}},
		{"pub", "Invalid property name given in --property argument.", []string{"-D", "publish", "x", "y"}},
		{"pub", "session-expiry-interval property not allowed for publish in --property argument.", []string{"-D", "publish", "session-expiry-interval", "1"}},
		{"pub", "user-property property not supported for puback in --property argument.", []string{"-D", "puback", "user-property", "a", "b"}},
		{"pub", "--property argument given but not enough arguments specified.", []string{"-D", "publish", "user-property", "a"}},
		{"pub", "Property value (70000) out of range for property topic-alias.", []string{"-D", "publish", "topic-alias", "70000"}},
		{"pub", "Property value (x) is not a number for property topic-alias.", []string{"-D", "publish", "topic-alias", "x"}},
		{"pub", "Will payload given, but no will topic given.", []string{"--will-payload", "x", "-t", "t", "-n"}},
		{"pub", "--repeat argument must be >0.", []string{"--repeat", "0"}},
		{"pub", "Maximum inflight messages must be greater than 0.", []string{"-M", "0"}},
		{"pub", "Unsupported proxy protocol: http://p", []string{"--proxy", "http://p"}},
		{"pub", "--psk-identity required if --psk used.", []string{"--psk", "aa", "-t", "t", "-n"}},
		{"pub", "TLS-PSK is not supported: Go's TLS has no pre-shared keys. Use --cafile, with --cert and --key.", []string{"--psk", "aa", "--psk-identity", "i", "-t", "t", "-n"}},
		{"pub", "Both certfile and keyfile must be provided if one of them is set.", []string{"--cert", "c", "-t", "t", "-n"}},
		{"pub", "Problem setting TLS options: File not found.", []string{"--cafile", "/nonexistent", "-t", "t", "-n"}},
		{"pub", "Unable to open file \"/nonexistent\".", []string{"-f", "/nonexistent", "-t", "t"}},
		{"sub", "Invalid message count \"0\".", []string{"-C", "0"}},
		{"sub", "Invalid timeout \"x\".", []string{"-W", "x"}},
		{"sub", "Invalid format specifier 'z'.", []string{"-F", "%z"}},
		{"sub", "Incomplete format specifier.", []string{"-F", "x%5"}},
		{"sub", "Invalid escape specifier 'q'.", []string{"-F", "\\q"}},
		{"sub", "Combining '-R' and '--retained-only' makes no sense.", []string{"-R", "--retained-only", "-t", "t"}},
		{"sub", "--random-filter chance must be between 0.1-100.0", []string{"--random-filter", "0"}},
	} {
		t.Run(c.tool+" "+c.want, func(t *testing.T) {
			got := emqtt(t, "", append([]string{c.tool}, c.args...)...)
			require.Equal(t, outcome{1, "", "Error: " + c.want + "\n\nUse 'emqtt " + c.tool + " --help' to see usage.\n"}, got)
		})
	}
}

func TestOptionsFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mosquitto_pub")
	require.NoError(t, os.WriteFile(file, []byte("# defaults\n-h example\n\n-D publish user-property a b\n--will-payload two words\n-m ignored\n"), 0o600))
	w := &world{getenv: func(k string) string { return map[string]string{"XDG_CONFIG_HOME": dir}[k] }}
	s, err := readSettings(w, "pub", []string{"-t", "t", "-n", "--will-topic", "w", "-h", "other"})
	require.NoError(t, err)
	require.Equal(t, "other n two words", join(s.host, string(s.pub.mode), string(s.will.payload)))
	require.Len(t, s.props[packet.PUBLISH].User, 1)

	s, err = readSettings(&world{getenv: func(string) string { return "" }}, "pub", []string{"-o", file, "-t", "t", "--will-topic", "w"})
	require.NoError(t, err, "named by -o, the file may say what to send")
	require.Equal(t, "example ignored", join(s.host, string(s.pub.message)))
}

func TestConnectPacket(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want func(c *packet.Connect)
	}{
		{"3.1.1 by default, a clean session, no identifier", nil, func(*packet.Connect) {}},
		{"3.1 has an identifier of at most 23 bytes", []string{"-V", "mqttv31"}, func(c *packet.Connect) { c.Version = packet.V31 }},
		{"prefix and process id", []string{"-I", "p", "-c"}, func(c *packet.Connect) { c.ClientID, c.CleanStart = "p77", false }},
		{"5.0 with -c never expires", []string{"-V", "5", "-c", "-i", "x"}, func(c *packet.Connect) {
			c.Version, c.ClientID, c.CleanStart = packet.V5, "x", false
			c.Properties = expiry(never)
		}},
		{"5.0 with -x expires then, and starts clean", []string{"-V", "5", "-x", "9"}, func(c *packet.Connect) {
			c.Version = packet.V5
			c.Properties = expiry(9)
		}},
		{"before 5.0 there are no properties", []string{"-D", "connect", "user-property", "a", "b", "-V", "311"}, func(*packet.Connect) {}},
		{"user, password, will", []string{"-u", "u", "-P", "p", "--will-topic", "w", "--will-qos", "1", "--will-retain"}, func(c *packet.Connect) {
			c.Username, c.HasUsername, c.Password, c.HasPassword = "u", true, []byte("p"), true
			c.Will = &packet.Will{Topic: "w", QoS: 1, Retain: true}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := parsed(t, "pub", append([]string{"-t", "t", "-n"}, c.args...)...)
			require.NoError(t, s.check())
			want := packet.Connect{Version: packet.V311, CleanStart: true, KeepAlive: 60, Password: []byte{}}
			c.want(&want)
			got := s.connect(77)
			if want.Version == packet.V31 {
				require.Len(t, got.ClientID, 23)
				want.ClientID = got.ClientID
			}
			require.Equal(t, want, got)
		})
	}
}

func expiry(n uint32) *packet.Properties {
	p := new(packet.Properties).Set(packet.PropSessionExpiry)
	p.SessionExpiry = n
	return p
}
