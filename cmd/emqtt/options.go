// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"emqttd/protocol/packet"
)

// propertyArgs is the number of values of -D; a user property has one more.
const propertyArgs = 3

// options is the flag table of a tool.
func options(tool string) []option {
	if tool == "pub" {
		return append(common(), pubOptions()...)
	}
	return append(common(), subOptions()...)
}

func text(p func(s *settings) *string) func(*settings, []string) error {
	return func(s *settings, v []string) error { *p(s) = v[0]; return nil }
}

func flag(p func(s *settings) *bool) func(*settings, []string) error {
	return func(s *settings, _ []string) error { *p(s) = true; return nil }
}

func refuse(why string) func(*settings, []string) error {
	return func(*settings, []string) error { return usage("%s", why) }
}

// common are the options of both tools.
func common() []option {
	return append([]option{
		{"-h", "--host", 1, "host", text(func(s *settings) *string { return &s.host }), "server to connect to; localhost"},
		{"-p", "--port", 1, "port", setPort, "its port; 1883, 8883 with TLS, 80 and 443 with --ws"},
		{"", "--unix", 1, "unix socket", text(func(s *settings) *string { return &s.unix }), "connect to this unix socket instead"},
		{"-L", "--url", 1, "URL", setURL, "mqtt|mqtts|ws|wss://[user[:password]@]host[:port]/topic"},
		{"", "--ws", 0, "", flag(func(s *settings) *bool { return &s.webSocket }), "MQTT over WebSocket"},
		{"", "--ws-path", 1, "path", text(func(s *settings) *string { return &s.wsPath }), "its path; /mqtt"},
		{"-A", "", 1, "address", text(func(s *settings) *string { return &s.bind }), "local address to connect from"},
		{"-S", "", 0, "", flag(func(s *settings) *bool { return &s.srv }), "ask DNS for the SRV record _mqtt._tcp.HOST"},
		{"", "--nodelay", 0, "", flag(func(s *settings) *bool { return &s.nodelay }), "send small packets at once; always so here"},
		{"", "--proxy", 1, "proxy url", setProxy, "socks5h://[user[:password]@]host[:port]"},
		{"-V", "--protocol-version", 1, "version", setVersion, "31, 311 or 5, or mqttv31, mqttv311, mqttv5; 311"},
		{"-i", "--id", 1, "id", setID, "client identifier"},
		{"-I", "--id-prefix", 1, "id prefix", setIDPrefix, "the process id behind this is the client identifier"},
		{"-u", "--username", 1, "username", setUsername, "user name"},
		{"-P", "--pw", 1, "password", setPassword, "password"},
		{"-c", "--disable-clean-session", 0, "", flag(func(s *settings) *bool { return &s.persistent }), "keep the session after disconnecting"},
		{"-x", "--session-expiry-interval", 1, "session expiry interval", setExpiry, "5.0: for so many seconds; -1: for ever"},
		{"-k", "--keepalive", 1, "keepalive", setKeepAlive, "keep alive in seconds, 5 to 65535; 60"},
		{"-q", "--qos", 1, "QoS", setQoS, "quality of service; 0"},
		{"-M", "", 1, "max_inflight", setInflight, "publishes of QoS 1 and 2 on the way at once; 20"},
		{"-D", "--property", propertyArgs, "", nil, "PACKET NAME VALUE, or PACKET user-property NAME VALUE"},
		{"", "--will-topic", 1, "will topic", setWillTopic, "leave a will with this topic"},
		{"", "--will-payload", 1, "will payload", setWillPayload, "its payload"},
		{"", "--will-qos", 1, "will QoS", setWillQoS, "its quality of service"},
		{"", "--will-retain", 0, "", flag(func(s *settings) *bool { return &s.will.retain }), "it is retained"},
		{"-d", "--debug", 0, "", flag(func(s *settings) *bool { return &s.debug }), "print every packet"},
		{"", "--quiet", 0, "", flag(func(s *settings) *bool { return &s.quiet }), "print no errors of the running program"},
		{"-o", "", 1, "options file", setFile, "read options from this file, one a line"},
		{"", "--help", 0, "", flag(func(s *settings) *bool { return &s.help }), "print this"},
		{"", "--version", 0, "", flag(func(s *settings) *bool { return &s.showVer }), "print the version"},
	}, tlsOptions()...)
}

func setFile(s *settings, v []string) error {
	if s.fromFile {
		return usage("An options file cannot name another one.")
	}
	s.fromFile = true
	defer func() { s.fromFile = false }()
	return s.parseFile(v[0], true)
}

func setPort(s *settings, v []string) error {
	n, err := strconv.Atoi(v[0])
	if err != nil || n < 1 || n > 65535 {
		return usage("Invalid port given: %s", v[0])
	}
	s.port = n
	return nil
}

// setURL reads -L. The path is the topic, as in mosquitto, for WebSocket too.
func setURL(s *settings, v []string) error {
	u, err := url.Parse(v[0])
	if err != nil {
		return usage("Invalid URL for -L argument specified.")
	}
	switch s.urlScheme = u.Scheme; u.Scheme {
	case "mqtt":
	case "mqtts":
		s.tls.on = true
	case "ws":
		s.webSocket = true
	case "wss":
		s.webSocket, s.tls.on = true, true
	default:
		return usage("unsupported URL scheme.")
	}
	name := strings.TrimPrefix(u.Path, "/")
	if name == "" {
		return usage("Invalid URL for -L argument specified - topic missing.")
	}
	s.host = u.Hostname()
	if p := u.Port(); p != "" {
		if err := setPort(s, []string{p}); err != nil {
			return err
		}
	}
	if u.User != nil {
		s.username, s.hasUsername = u.User.Username(), true
		s.password, s.hasPassword = u.User.Password()
	}
	return setTopic(s, []string{name})
}

func setTopic(s *settings, v []string) error {
	if s.tool == "pub" {
		if !validName(v[0]) {
			return usage("Invalid publish topic '%s', does it contain '+' or '#'?", v[0])
		}
		s.topics = v[:1]
		return nil
	}
	if !validFilter(v[0]) {
		return usage("Invalid subscription topic '%s', are all '+' and '#' wildcards correct?", v[0])
	}
	s.topics = append(s.topics, v[0])
	return nil
}

func setVersion(s *settings, v []string) error {
	switch v[0] {
	case "31", "mqttv31":
		s.version = packet.V31
	case "311", "mqttv311":
		s.version = packet.V311
	case "5", "mqttv5":
		s.version = packet.V5
	default:
		return usage("Invalid protocol version argument given.")
	}
	return nil
}

func setID(s *settings, v []string) error {
	if s.idPrefix != "" {
		return usage("-i and -I argument cannot be used together.")
	}
	s.id, s.hasID = v[0], true
	return nil
}

func setIDPrefix(s *settings, v []string) error {
	if s.hasID {
		return usage("-i and -I argument cannot be used together.")
	}
	s.idPrefix = v[0]
	return nil
}

func setUsername(s *settings, v []string) error {
	s.username, s.hasUsername = v[0], true
	return nil
}

func setPassword(s *settings, v []string) error {
	s.password, s.hasPassword = v[0], true
	return nil
}

func setExpiry(s *settings, v []string) error {
	s.hasExpiry = true
	if v[0] == "∞" {
		s.expiry = never
		return nil
	}
	n, err := strconv.ParseInt(v[0], 10, 64)
	switch {
	case err != nil:
		return usage("session-expiry-interval not a number.")
	case n < -1 || n > math.MaxUint32:
		return usage("session-expiry-interval out of range.")
	}
	s.expiry = uint32(n) // -1 is 0xFFFFFFFF: never
	return nil
}

func setKeepAlive(s *settings, v []string) error {
	n, err := strconv.Atoi(v[0])
	if err != nil || n < 5 || n > 65535 {
		return usage("Invalid keepalive given, it must be between 5 and 65535 inclusive.")
	}
	s.keepAlive = n
	return nil
}

func setQoS(s *settings, v []string) error {
	q, ok := parseQoS(v[0])
	if !ok {
		return usage("Invalid QoS given: %s", v[0])
	}
	s.qos = q
	return nil
}

func parseQoS(v string) (packet.QoS, bool) {
	if len(v) != 1 || v[0] < '0' || v[0] > '2' {
		return 0, false
	}
	return packet.QoS(v[0] - '0'), true
}

func setInflight(s *settings, v []string) error {
	n, err := strconv.Atoi(v[0])
	if err != nil || n < 1 {
		return usage("Maximum inflight messages must be greater than 0.")
	}
	s.maxInflight = min(n, 65535)
	return nil
}

func setWillTopic(s *settings, v []string) error {
	if !validName(v[0]) {
		return usage("Invalid will topic '%s', does it contain '+' or '#'?", v[0])
	}
	s.will.topic = v[0]
	return nil
}

func setWillPayload(s *settings, v []string) error {
	s.will.payload, s.will.hasPayload = []byte(v[0]), true
	return nil
}

func setWillQoS(s *settings, v []string) error {
	q, ok := parseQoS(v[0])
	if !ok {
		return usage("Invalid will QoS %s.", v[0])
	}
	s.will.qos = q
	return nil
}

func pubOptions() []option {
	return []option{
		{"-t", "--topic", 1, "topic", setTopic, "topic to publish to"},
		{"-m", "--message", 1, "message", setMode('m'), "send this"},
		{"-f", "--file", 1, "file", setMode('f'), "send the contents of this file"},
		{"-l", "--stdin-line", 0, "", setMode('l'), "send each line of standard input"},
		{"-n", "--null-message", 0, "", setMode('n'), "send an empty message"},
		{"-s", "--stdin-file", 0, "", setMode('s'), "send all of standard input as one message"},
		{"-r", "--retain", 0, "", flag(func(s *settings) *bool { return &s.pub.retain }), "retained"},
		{"", "--repeat", 1, "count", setRepeat, "send it so many times"},
		{"", "--repeat-delay", 1, "time", setRepeatDelay, "with so many seconds in between"},
	}
}

func setMode(mode byte) func(*settings, []string) error {
	return func(s *settings, v []string) error {
		if s.pub.mode != 0 {
			return usage("Only one type of message can be sent at once.")
		}
		s.pub.mode = mode
		switch mode {
		case 'm':
			s.pub.message = []byte(v[0])
		case 'f':
			s.pub.file = v[0]
		}
		return nil
	}
}

func setRepeat(s *settings, v []string) error {
	n, err := strconv.Atoi(v[0])
	if err != nil || n < 1 {
		return usage("--repeat argument must be >0.")
	}
	s.pub.repeat = n
	return nil
}

func setRepeatDelay(s *settings, v []string) error {
	f, err := strconv.ParseFloat(v[0], 64)
	if err != nil || !(f >= 0) || f > 1e9 {
		return usage("--repeat-delay argument must be >=0.0.")
	}
	s.pub.repeatDelay = time.Duration(f * float64(time.Second))
	return nil
}

func subOptions() []option {
	return []option{
		{"-t", "--topic", 1, "topic", setTopic, "filter to subscribe to; may be repeated"},
		{"-T", "--filter-out", 1, "topic", setFilterOut, "do not print topics that match; may be repeated"},
		{"-U", "--unsubscribe", 1, "topic", setUnsubscribe, "unsubscribe from this; may be repeated"},
		{"-C", "", 1, "count", setCount, "exit after so many messages"},
		{"-W", "", 1, "timeout", setTimeout, "exit after so many seconds"},
		{"-E", "", 0, "", flag(func(s *settings) *bool { return &s.sub.exitAfterSub }), "exit once subscribed"},
		{"-v", "--verbose", 0, "", flag(func(s *settings) *bool { return &s.sub.verbose }), "print the topic before the payload"},
		{"-N", "", 0, "", flag(func(s *settings) *bool { return &s.sub.noNewline }), "no end of line behind a message"},
		{"-F", "", 1, "format", setFormat, "output format, see below"},
		{"", "--pretty", 0, "", flag(func(s *settings) *bool { return &s.sub.pretty }), "JSON on several lines"},
		{"-R", "", 0, "", flag(func(s *settings) *bool { return &s.sub.noRetained }), "print no retained messages"},
		{"", "--retained-only", 0, "", flag(func(s *settings) *bool { return &s.sub.retainedOnly }), "print only them, and exit at the first other"},
		{"", "--remove-retained", 0, "", flag(func(s *settings) *bool { return &s.sub.removeRetained }), "remove each retained message received"},
		{"", "--retain-as-published", 0, "", flag(func(s *settings) *bool { return &s.sub.retainAsPublished }), "5.0: keep the retain flag of the publisher"},
		{"", "--random-filter", 1, "chance", setRandomFilter, "print only this percentage of messages"},
	}
}

func setFilterOut(s *settings, v []string) error {
	if !validFilter(v[0]) {
		return usage("Invalid filter topic '%s', are all '+' and '#' wildcards correct?", v[0])
	}
	s.sub.filterOut = append(s.sub.filterOut, v[0])
	return nil
}

func setUnsubscribe(s *settings, v []string) error {
	if !validFilter(v[0]) {
		return usage("Invalid unsubscribe topic '%s', are all '+' and '#' wildcards correct?", v[0])
	}
	s.sub.unsubscribe = append(s.sub.unsubscribe, v[0])
	return nil
}

func setCount(s *settings, v []string) error {
	n, err := strconv.Atoi(v[0])
	if err != nil || n < 1 {
		return usage("Invalid message count \"%s\".", v[0])
	}
	s.sub.count = n
	return nil
}

func setTimeout(s *settings, v []string) error {
	n, err := strconv.Atoi(v[0])
	if err != nil || n < 1 || n > math.MaxInt32 {
		return usage("Invalid timeout \"%s\".", v[0])
	}
	s.sub.timeout = time.Duration(n) * time.Second
	return nil
}

func setFormat(s *settings, v []string) (err error) {
	s.sub.format, err = parseFormat(v[0])
	return err
}

func setRandomFilter(s *settings, v []string) error {
	f, err := strconv.ParseFloat(v[0], 64)
	if err != nil || !(f >= 0.1 && f <= 100) {
		return usage("--random-filter chance must be between 0.1-100.0")
	}
	s.sub.randomFilter = f
	return nil
}
