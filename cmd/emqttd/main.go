// SPDX-License-Identifier: Apache-2.0

// Command emqttd is the broker.
//
//	emqttd                      listen on loopback: tcp 1883, ws 8083 /mqtt
//	emqttd -c emqttd.yaml       with a configuration
//	emqttd --print-config       print it, with comments, and exit
//	emqttd --check              test it and exit: 0, or 78 with what is wrong
//	emqttd data export FILE     write what the store holds to a portable file
//	emqttd data import FILE     make a store of such a file
//
// SIGTERM and SIGINT stop it in order, SIGHUP reads configuration and files
// anew. Exit codes: 0 stopped in order, 1 it could not go on, 74 the store can
// write no longer, 78 the configuration is wrong.
//
// A build is guided by default.pgo, merged profiles of this program under the loads
// of `emqtt bench compare`, which .ci/profile takes anew. 2026-11: a message costs 0.9
// of the CPU at QoS 1 and 0.9 to 1.0 at QoS 0. `go build -pgo=off` is for those who
// have the packages compiled without it already, as .ci/run has for its tests.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"emqttd/supervisor/broker"
	"emqttd/supervisor/broker/config"
)

// exitConfig is EX_CONFIG of sysexits.h; the systemd unit does not restart after
// it.
const exitConfig = 78

// exitStore is EX_IOERR: the store can write no longer.
const exitStore = 74

func main() {
	tuneProfile()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// flags are the command line.
type flags struct {
	file                 string
	sets                 []string
	check, print, health bool
}

func run(args []string, stdout, stderr io.Writer) int {
	var f flags
	code := 0
	cmd := &cobra.Command{
		Use:           "emqttd",
		Short:         "MQTT broker",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       broker.Version(),
		RunE: func(*cobra.Command, []string) error {
			code = f.do(stdout, stderr)
			return nil
		},
	}
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	cmd.AddCommand(f.dataCommand(&code, stdout, stderr))
	cmd.PersistentFlags().StringVarP(&f.file, "config", "c", "", "configuration file (YAML)")
	cmd.PersistentFlags().StringArrayVar(&f.sets, "set", nil, "set a key, as in listeners.tcp.default.bind=:1883; may be repeated")
	fl := cmd.Flags()
	fl.BoolVar(&f.check, "check", false, "test the configuration and the files it names, then exit")
	fl.BoolVar(&f.print, "print-config", false, "print the effective configuration with comments, then exit")
	fl.BoolVar(&f.health, "health", false, "ask the running broker for its status, then exit")
	if err := cmd.Execute(); err != nil {
		fmt.Fprintln(stderr, "emqttd:", err)
		return 2
	}
	return code
}

func (f *flags) load() (*config.Config, *config.Origins, error) {
	return config.Load(config.Sources{File: f.file, Env: os.Environ(), Sets: f.sets})
}

func (f *flags) do(stdout, stderr io.Writer) int {
	cfg, origins, err := f.load()
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitConfig
	}
	switch {
	case f.print:
		if err := cfg.Print(stdout, config.PrintOptions{Origins: origins}); err != nil {
			fmt.Fprintln(stderr, "emqttd:", err)
			return 1
		}
		return 0
	case f.check:
		if err := cfg.CheckFiles(origins); err != nil {
			fmt.Fprintln(stderr, err)
			return exitConfig
		}
		fmt.Fprintln(stdout, "configuration is fine")
		return 0
	case f.health:
		return health(cfg, stdout, stderr)
	}
	return f.serve(cfg, origins, stderr)
}

// health asks the status pages in turn.
func health(cfg *config.Config, stdout, stderr io.Writer) int {
	client := &http.Client{Timeout: 3 * time.Second}
	err := errors.New("no listener serves /status")
	for _, url := range cfg.StatusURLs() {
		var res *http.Response
		if res, err = client.Get(url); err != nil {
			continue
		}
		body, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
		_ = res.Body.Close()
		if res.StatusCode == http.StatusOK {
			fmt.Fprintln(stdout, string(body))
			return 0
		}
		err = fmt.Errorf("%s: %s", url, res.Status)
	}
	fmt.Fprintln(stderr, "emqttd:", err)
	return 1
}

// logger is the process's log: a line for people, or JSON for machines. Its level
// is the process's, since a reload may change it.
func logger(cfg *config.Config, stderr io.Writer) zerolog.Logger {
	setLevel(cfg)
	zerolog.TimeFieldFormat = time.RFC3339Nano
	out := stderr
	if cfg.Log.Format == config.LogConsole {
		f, isFile := stderr.(*os.File)
		out = zerolog.ConsoleWriter{Out: stderr, TimeFormat: "15:04:05.000", NoColor: !isFile || !isatty.IsTerminal(f.Fd())}
	}
	return zerolog.New(out).With().Timestamp().Str("node", cfg.Node.Name).Logger()
}

func setLevel(cfg *config.Config) {
	level, err := zerolog.ParseLevel(string(cfg.Log.Level))
	if err != nil {
		level = zerolog.InfoLevel
	}
	zerolog.SetGlobalLevel(level)
}

func (f *flags) serve(cfg *config.Config, origins *config.Origins, stderr io.Writer) int {
	log := logger(cfg, stderr)
	tuneMemory(int64(cfg.Runtime.GoMemLimit))
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	starting.Store(true)
	b, err := broker.Start(cfg, log)
	starting.Store(false)
	if err != nil {
		log.Error().Err(err).Msg("start failed")
		return 1
	}
	b.UseOrigins(origins)
	b.OnReload(func() ([]string, error) { return f.reload(b, log) })
	log.Info().Str("version", broker.Version()).Msg("emqttd is running")
	notify(log, daemon.SdNotifyReady)
	calm := newGiver(time.Now().UnixNano())
	tick := time.NewTicker(giveEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			calm.look(now.UnixNano())
		case err := <-b.Failed():
			log.Error().Err(err).Msg("broker can not go on")
			_ = f.stop(b, log)
			if errors.Is(err, broker.ErrStore) {
				return exitStore
			}
			return 1
		case s := <-signals:
			if s == syscall.SIGHUP {
				_, _ = f.reload(b, log) // it has logged what is wrong
				continue
			}
			log.Info().Stringer("signal", s).Msg("stopping")
			return f.stop(b, log)
		}
	}
}

func notify(log zerolog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn().Err(err).Msg("sd_notify")
	}
}

func (f *flags) stop(b *broker.Broker, log zerolog.Logger) int {
	notify(log, daemon.SdNotifyStopping)
	ctx, cancel := context.WithTimeout(context.Background(), b.ShutdownTimeout())
	defer cancel()
	if err := b.Shutdown(ctx); err != nil {
		log.Error().Err(err).Msg("stopped")
		return 1
	}
	log.Info().Msg("stopped")
	return 0
}

func (f *flags) reload(b *broker.Broker, log zerolog.Logger) (needRestart []string, err error) {
	notify(log, daemon.SdNotifyReloading)
	defer notify(log, daemon.SdNotifyReady)
	cfg, origins, err := f.load()
	if err != nil {
		log.Error().Err(err).Msg("reload: configuration is wrong, the old one stays")
		return nil, err
	}
	needRestart, err = b.Reload(cfg)
	b.UseOrigins(origins)
	if err != nil {
		log.Error().Err(err).Msg("reload")
	} else {
		setLevel(cfg)
	}
	log.Info().Strs("need_restart", needRestart).Msg("reloaded")
	return needRestart, err
}
