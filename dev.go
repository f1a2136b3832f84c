package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/localenv"
	"github.com/pxactions/px/internal/ops"
	"github.com/pxactions/px/migrations"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/samples"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// devSubjectKey stands in where no key is set: for private databases only.
const devSubjectKey = "px dev: not a secret"

type devCmd struct {
	Data string `placeholder:"DIR" help:"Keep the private servers' data here; by default it is thrown away."`
}

// Run runs all processes in one until told to stop. An empty database gets the
// sample directory and policy, and a key to send with.
func (c devCmd) Run(ctx context.Context, s *Settings) (err error) {
	given := *s
	end, err := private(ctx, s, localenv.Options{DataDir: c.Data, Log: s.logger("dev")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	if err := prepare(ctx, s); err != nil {
		return err
	}
	var key string
	err = withStore(ctx, s, func(st *store.Store) (err error) {
		key, err = firstSamples(ctx, st)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprint(os.Stderr, exports(&given, s, key))
	return process(ctx, s, "dev", func(a *app) []ops.Check {
		return []ops.Check{a.checkDatabase(), a.checkRedis(false)}
	}, (*app).producer, (*app).worker, (*app).scheduler, (*app).web)
}

// exports are the settings that px dev has made up, ready to be pasted into
// another shell; those that were given stand there already.
func exports(given, made *Settings, key string) string {
	var b strings.Builder
	for _, v := range []struct{ name, given, made string }{
		{"PX_DATABASE_URL", given.DatabaseURL, made.DatabaseURL}, {"PX_REDIS_URL", given.RedisURL, made.RedisURL},
		{"PX_SUBJECT_KEY", given.SubjectKey, made.SubjectKey}, {"PX_FILES_URL", given.FilesURL, made.FilesURL}, {"PX_API_KEY", "", key},
	} {
		if v.made != v.given {
			fmt.Fprintf(&b, "export %s='%s'\n", v.name, strings.ReplaceAll(v.made, "'", `'\''`))
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "for px in another shell:\n" + b.String()
}

// private fills in the URLs that are not set by private servers, which end with
// the process. end stops them.
func private(ctx context.Context, s *Settings, o localenv.Options) (end func() error, err error) {
	if s.SubjectKey == "" {
		s.SubjectKey = devSubjectKey
	}
	var env *localenv.Env
	switch {
	case s.DatabaseURL != "" && s.RedisURL != "":
		return func() error { return nil }, nil
	case s.DatabaseURL != "":
		env, err = localenv.StartRedis(ctx, o)
	case s.RedisURL != "":
		env, err = localenv.StartPostgres(ctx, o)
	default:
		env, err = localenv.Start(ctx, o)
	}
	if errors.Is(err, localenv.ErrUnavailable) {
		return nil, fmt.Errorf("%w\nor set PX_DATABASE_URL and PX_REDIS_URL", err)
	}
	if err != nil {
		return nil, err
	}
	if env.RedisURL != "" {
		s.RedisURL = env.RedisURL
	}
	if env.DatabaseURL != "" {
		s.DatabaseURL = env.DatabaseURL
		if s.FilesURL == defaultFilesURL { // they belong to the database
			s.FilesURL = (&url.URL{Scheme: "file", Path: filepath.ToSlash(env.FilesDir)}).String()
		}
	}
	return env.Close, nil
}

// prepare brings the schema up to date.
func prepare(ctx context.Context, s *Settings) error {
	return withStore(ctx, s, func(st *store.Store) error {
		_, err := migrations.Up(ctx, st.DB())
		return err
	})
}

// firstSamples fills an empty directory with the samples and makes a key of
// source system dev; otherwise there is no key.
func firstSamples(ctx context.Context, st *store.Store) (key string, err error) {
	dir, err := st.Directory(ctx)
	if err != nil || len(dir.Hospitals) > 0 {
		return "", err
	}
	if err := applySamples(ctx, st, samples.Policy); err != nil {
		return "", err
	}
	fmt.Fprintln(os.Stderr, "the directory was empty: sample hospitals and policy applied, and an API key of source system dev made")
	return newKey(ctx, st, "dev")
}

// applySamples applies the sample directory and a sample policy. Everybody hears
// through the log: the addresses of the samples are nobody's.
func applySamples(ctx context.Context, st *store.Store, policy []byte) error {
	d, err := sla.ParseDirectory(samples.Directory)
	if err != nil {
		return fmt.Errorf("sample directory: %w", err)
	}
	for i := range d.Users {
		d.Users[i].Channels = []model.Channel{model.ChannelLog}
	}
	if _, err := st.ApplyDirectory(ctx, d); err != nil {
		return fmt.Errorf("sample directory: %w", err)
	}
	p, err := sla.ParsePolicy(policy)
	if err != nil {
		return fmt.Errorf("sample policy: %w", err)
	}
	if _, _, err := st.ApplyPolicy(ctx, p, "px", "sample"); err != nil {
		return fmt.Errorf("sample policy: %w", err)
	}
	return nil
}

func newKey(ctx context.Context, st *store.Store, source string) (string, error) {
	return st.CreateKey(ctx, &model.APIKey{
		Name: source, SourceSystem: source, Scopes: model.Of(store.Scopes()), Hospitals: model.Of([]model.HospitalID{}),
		OnUnmapped: model.UnmappedReject,
	})
}

// quiet is a level for what shares its terminal with an answer or a picture,
// unless the operator asked for more.
func quiet(s *Settings, level zerolog.Level) {
	if s.LogLevel == zerolog.InfoLevel.String() {
		s.LogLevel = level.String()
	}
}
