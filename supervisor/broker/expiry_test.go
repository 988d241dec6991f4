// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/alarm"
	"emqttd/listeners/api"
	"emqttd/supervisor/broker/brokertest"
	"emqttd/supervisor/broker/config"
)

// raised are the alarms that are, and how severe.
func raised(b *brokertest.Broker) map[string]alarm.Severity {
	out := map[string]alarm.Severity{}
	for _, a := range b.Alarms().Active() {
		out[a.ID] = a.Severity
	}
	return out
}

// TestACertificateThatExpiresSoonRaisesAnAlarm, another one when it has, and a file
// in its place ends both. Time is what CheckCertificates is told.
func TestACertificateThatExpiresSoonRaisesAnAlarm(t *testing.T) {
	ca, dir, other := newAuthority(t), t.TempDir(), t.TempDir()
	end := time.Now().Add(30 * 24 * time.Hour).Truncate(time.Second)
	ca.until = end
	cert, key := ca.files(dir, "first")
	ca.until = end.Add(24 * time.Hour)
	dashCert, dashKey := ca.files(other, "dashboard")
	b := brokertest.Start(t, "runtime.certificate_check=24h", "runtime.certificate_expiry_alarm=240h", "dashboard.bind=127.0.0.1:0",
		"dashboard.cert_file="+dashCert, "dashboard.key_file="+dashKey,
		"listeners.tls.default={bind: \"127.0.0.1:0\", tls: {cert_file: "+cert+", key_file: "+key+"}}")
	require.Empty(t, raised(b), "there is time")
	left := func(d time.Duration) map[string]alarm.Severity {
		b.CheckCertificates(end.Add(-d))
		return raised(b)
	}
	const day = 24 * time.Hour
	const soon, over, dashSoon = "certificate_expires_tls:default", "certificate_expired_tls:default", "certificate_expires_dashboard"
	require.Empty(t, left(10*day+time.Second))
	require.Equal(t, map[string]alarm.Severity{soon: alarm.Warning}, left(10*day))
	require.Contains(t, b.Alarms().Active()[0].Summary, "CN=first of "+cert+": not after "+end.UTC().Format(time.RFC3339)+", in 10 days")
	for range 3 {
		require.Equal(t, map[string]alarm.Severity{soon: alarm.Warning}, left(11*day), "the clock is set back a little")
	}
	require.Equal(t, map[string]alarm.Severity{soon: alarm.Warning}, left(12*day))
	require.Empty(t, left(12*day), "and by more, twice")
	require.Equal(t, map[string]alarm.Severity{soon: alarm.Warning, dashSoon: alarm.Warning}, left(time.Second))
	require.Equal(t, map[string]alarm.Severity{over: alarm.Critical, dashSoon: alarm.Warning}, left(0))
	require.Contains(t, b.Alarms().Active()[1].Title, "has expired")

	ca.until = end.Add(365 * day)
	ca.files(dir, "second")
	require.Equal(t, map[string]alarm.Severity{dashSoon: alarm.Warning}, left(0), "the file was replaced")
	require.Equal(t, "second", ca.shown(b.Addr("listeners.tls.default")))
	ends := map[string]time.Time{}
	b.Sources().Certificates(func(name string, at time.Time) bool {
		ends[name] = at.UTC()
		return true
	})
	require.Equal(t, map[string]time.Time{"tls:default": ca.until.UTC(), "dashboard": end.Add(day).UTC()}, ends)
}

// TestTheAlarmOfACertificateIsSetByTheConfiguration, at the start and at a reload.
func TestTheAlarmOfACertificateIsSetByTheConfiguration(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	ca.until = time.Now().Add(time.Hour)
	cert, key := ca.files(dir, "short")
	sets := func(within string) []string {
		return []string{"runtime.certificate_expiry_alarm=" + within, "runtime.certificate_check=0s", "store.engine=memory", "dashboard.bind=127.0.0.1:0",
			"dashboard.viewers.guest=guest guest", "listeners.tcp.default.bind=", "listeners.ws.default.bind=",
			"listeners.tls.default={bind: \"127.0.0.1:0\", tls: {cert_file: " + cert + ", key_file: " + key + "}}"}
	}
	b := brokertest.Start(t, sets("2h")...)
	require.Equal(t, map[string]alarm.Severity{"certificate_expires_tls:default": alarm.Warning}, raised(b))
	w := browse(t, b).guest()
	for _, step := range []struct {
		within string
		want   int
	}{{"30m", 0}, {"2h", 1}, {"0s", 0}, {"1h", 1}} {
		cfg, _, err := config.Load(config.Sources{Sets: sets(step.within)})
		require.NoError(t, err)
		need, err := b.Reload(cfg)
		require.NoError(t, err)
		require.Empty(t, need)
		require.Len(t, raised(b), step.want, step.within)
		var ls []api.Listener
		w.get("/listeners", &ls)
		require.Equal(t, step.want > 0, ls[0].Expiring, "what the page warns of")
		require.NotNil(t, ls[0].NotAfter)
	}
}

// TestACertificateOfTheChainCanBeTheFirstToExpire: who checks the leaf checks its
// way to the authority.
func TestACertificateOfTheChainCanBeTheFirstToExpire(t *testing.T) {
	ca, middle, dir := newAuthority(t), newAuthority(t), t.TempDir()
	cert, key := ca.files(dir, "leaf")
	chain, err := os.ReadFile(cert)
	require.NoError(t, err)
	middle.until = time.Now().Add(time.Hour)
	between, _ := middle.files(t.TempDir(), "between")
	second, err := os.ReadFile(between)
	require.NoError(t, err)
	writeFile(t, cert, append(chain, second...))
	b := brokertest.Start(t, "listeners.tls.default={bind: \"127.0.0.1:0\", tls: {cert_file: "+cert+", key_file: "+key+"}}")
	require.Equal(t, map[string]alarm.Severity{"certificate_expires_tls:default": alarm.Warning}, raised(b))
	require.Contains(t, b.Alarms().Active()[0].Summary, "CN=between of "+cert)
}
