package engine_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/files"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

const text = "Called the family.\n"

// kept lists the files of a world, finished or not.
func kept(w *scenario.World) []string {
	w.TB.Helper()
	var all []string
	err := filepath.WalkDir(w.FilesDir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, strings.TrimPrefix(p, w.FilesDir+"/"))
		}
		return err
	})
	if err != nil {
		w.TB.Fatal(err)
	}
	return all
}

// age makes every file old enough to be an orphan.
func age(w *scenario.World) {
	w.TB.Helper()
	old := time.Now().Add(-61 * time.Minute)
	for _, name := range kept(w) {
		if err := os.Chtimes(filepath.Join(w.FilesDir, name), old, old); err != nil {
			w.TB.Fatal(err)
		}
	}
}

func sweep(w *scenario.World) engine.FilesSwept {
	w.TB.Helper()
	done, err := w.Engine.SweepFiles(w.TB.Context())
	if err != nil {
		w.TB.Fatal(err)
	}
	return done
}

func request(a *model.Action) engine.AttachRequest {
	return engine.AttachRequest{ActionID: a.ID, Actor: a.AssignedTo, Filename: "../Secret Name.txt", Description: "Secret words", Evidence: true}
}

func TestAFileIsAttachedAndRead(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	row, err := w.Engine.Attach(t.Context(), request(&a), strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(text))
	if row.Filename != "Secret Name.txt" || row.FileType != "text/plain" || row.FileSize != int64(len(text)) || !bytes.Equal(row.SHA256, sum[:]) ||
		!row.IsEvidence || row.Description != "Secret words" || row.StorageKey != "actions/"+a.ID.String()+"/"+row.ID.String() {
		t.Errorf("row = %+v", row)
	}
	read, r, err := w.Engine.OpenAttachment(t.Context(), row.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if body, err := io.ReadAll(r); err != nil || string(body) != text {
		t.Errorf("file = %q, %v", body, err)
	}
	if !read.CreatedAt.Equal(row.CreatedAt) || *read.UploadedBy != *row.UploadedBy || read.ActionID != row.ActionID || read.Filename != row.Filename {
		t.Errorf("read %+v, answered %+v", read, row)
	}
	age(w)
	if done := sweep(w); done.Orphans != 0 || done.Foreign != 0 || len(done.Missing) != 0 || len(kept(w)) != 1 {
		t.Errorf("sweep = %+v, want nothing found", done)
	}
	if stored, made := w.Metric("px_files_total", "stored"), w.Metric("px_moves_total", "attach", "made"); stored != 1 || made != 1 {
		t.Errorf("counted %v stored, %v made", stored, made)
	}
	w.Holds()

	// Its file goes: reading says so, and so does the sweep.
	if err := w.Files.Delete(t.Context(), row.StorageKey); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Engine.OpenAttachment(t.Context(), row.ID); !errors.Is(err, model.ErrNotFound) || !strings.Contains(err.Error(), "missing from the storage") {
		t.Errorf("without its file = %v", err)
	}
	if done := sweep(w); len(done.Missing) != 1 || done.Missing[0] != row.ID || w.Metric("px_files_total", "missing") != 2 {
		t.Errorf("sweep = %+v, want it told", done)
	}
	if _, _, err := w.Engine.OpenAttachment(t.Context(), model.NewID[model.ActionAttachment]()); !errors.Is(err, model.ErrNotFound) {
		t.Errorf("no attachment = %v", err)
	}
}

// TestAFailedUploadLeavesNeitherRowNorFile is the promise, for all ways to fail.
func TestAFailedUploadLeavesNeitherRowNorFile(t *testing.T) {
	t.Parallel()
	large := strings.Repeat(text, 100_000)
	broken := errors.New("the sender went away")
	atEnd := func(do func()) io.Reader {
		return io.MultiReader(strings.NewReader(large), readerFunc(func([]byte) (int, error) { do(); return 0, io.EOF }))
	}
	tests := []struct {
		name   string
		body   func(w *scenario.World, a *model.Action) io.Reader
		want   func(error) bool
		sweeps bool // the sweep takes it away
	}{
		{"the sender breaks off", func(*scenario.World, *model.Action) io.Reader {
			return io.MultiReader(strings.NewReader(large), iotest.ErrReader(broken))
		}, func(err error) bool { return errors.Is(err, broken) }, false},
		{"it is too large", func(*scenario.World, *model.Action) io.Reader {
			return strings.NewReader(strings.Repeat("x", 25<<20+1))
		}, isFault("size"), false},
		{"it is empty", func(*scenario.World, *model.Action) io.Reader { return strings.NewReader("") }, isFault("required"), false},
		{"its type is not kept", func(*scenario.World, *model.Action) io.Reader { return strings.NewReader("<html>") }, isFault("type"), false},
		{"the action is cancelled meanwhile", func(w *scenario.World, a *model.Action) io.Reader {
			return atEnd(func() {
				w.Move(a.ID, sla.MoveRequest{Move: model.MoveCancel, Reason: "not ours"})
			})
		}, func(err error) bool { return errors.As(err, new(*model.TransitionError)) }, false},
		{"the database goes at the commit", func(w *scenario.World, _ *model.Action) io.Reader {
			return atEnd(func() {
				release := w.Lock("action_attachments")
				go func() {
					w.Exec("SELECT pg_terminate_backend(?)", w.Blocked())
					release()
				}()
			})
		}, func(err error) bool { return errors.Is(err, model.ErrUnavailable) }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := scenario.New(t, scenario.NoAck())
			a := w.Create(w.Complaint(model.SeverityHigh))[0]
			_, err := w.Engine.Attach(t.Context(), request(&a), tt.body(w, &a))
			if err == nil || !tt.want(err) || strings.Contains(err.Error(), "Secret") {
				t.Errorf("error = %v", err)
			}
			if tt.sweeps {
				if len(kept(w)) != 1 {
					t.Errorf("kept = %v, want the file left to the sweep: it may have been committed", kept(w))
				}
				age(w)
				if done := sweep(w); done.Orphans != 1 || w.Metric("px_files_total", "orphan") != 1 {
					t.Errorf("sweep = %+v, want one orphan, counted", done)
				}
			}
			if n := w.Count("SELECT count(*) FROM action_attachments") + w.Count("SELECT count(*) FROM action_logs WHERE log_type = 'evidence'"); n != 0 {
				t.Errorf("%d rows are left", n)
			}
			if names := kept(w); len(names) != 0 {
				t.Errorf("files are left: %v", names)
			}
			if w.Metric("px_files_total", "refused") != 1 {
				t.Error("not counted")
			}
			w.Holds()
		})
	}
}

func isFault(code string) func(error) bool {
	return func(err error) bool {
		var faults model.FieldErrors
		return errors.As(err, &faults) && faults[0].Field == "file" && faults[0].Code == code
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestWhatIsRefusedIsNotRead(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	as := w.Create(w.Complaints(2, model.SeverityHigh)...)
	a, gone := as[0], as[1]
	w.Move(gone.ID, sla.MoveRequest{Move: model.MoveCancel, Reason: "not ours"})
	stranger := model.NewID[model.User]()
	for name, tt := range map[string]struct {
		change func(*engine.AttachRequest)
		want   error
	}{
		"an action that is cancelled":    {func(r *engine.AttachRequest) { r.ActionID = gone.ID }, nil},
		"an action that there is not":    {func(r *engine.AttachRequest) { r.ActionID = model.NewID[model.Action]() }, model.ErrNotFound},
		"another version":                {func(r *engine.AttachRequest) { r.Version = a.Version + 1 }, model.ErrConflict},
		"nobody of the house":            {func(r *engine.AttachRequest) { r.Actor = &stranger }, model.ErrForbidden},
		"a description without end":      {func(r *engine.AttachRequest) { r.Description = strings.Repeat("x", 2001) }, nil},
		"a description PostgreSQL can't": {func(r *engine.AttachRequest) { r.Description = "a\x00" }, nil},
	} {
		req := request(&a)
		tt.change(&req)
		_, err := w.Engine.Attach(t.Context(), req, readerFunc(func([]byte) (int, error) {
			t.Errorf("%s: the file was read", name)
			return 0, io.EOF
		}))
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s = %v, want %v", name, err, tt.want)
		}
	}
	without := engine.New(engine.Options{Store: w.Store})
	t.Cleanup(without.Close)
	if _, err := without.Attach(t.Context(), request(&a), nil); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("without storage = %v", err)
	}
	if len(kept(w)) != 0 {
		t.Errorf("kept = %v", kept(w))
	}
}

// TestASenderThatLeavesAtTheCommit has it attached all the same: it is whole.
func TestASenderThatLeavesAtTheCommit(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	ctx, leave := context.WithCancel(t.Context())
	release := w.Lock("action_attachments")
	end := make(chan error, 1)
	go func() {
		_, err := w.Engine.Attach(ctx, request(&a), strings.NewReader(text))
		end <- err
	}()
	w.Blocked()
	leave()
	release()
	if err := <-end; err != nil {
		t.Fatal(err)
	}
	if n := w.Count("SELECT count(*) FROM action_attachments"); n != 1 || len(kept(w)) != 1 {
		t.Errorf("%d rows, files %v", n, kept(w))
	}
}

// TestWhatAKilledProcessLeaves: a file that was only begun, and one whose commit
// never came.
func TestWhatAKilledProcessLeaves(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	as := w.Create(w.Complaints(2, model.SeverityHigh)...)
	row, err := w.Engine.Attach(t.Context(), request(&as[0]), strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	put := func(key string) {
		if _, err := w.Files.Put(t.Context(), key, strings.NewReader(text), 100); err != nil {
			t.Fatal(err)
		}
	}
	fresh := func(a *model.Action) string {
		return "actions/" + a.ID.String() + "/" + model.NewID[model.ActionAttachment]().String()
	}
	put(fresh(&as[1]))
	put(fresh(&as[0]) + ".18a2b.tmp")
	put(row.StorageKey + ".18a2c.tmp")
	// What is not an upload of this database.
	elsewhere := fresh(&model.Action{ID: model.NewID[model.Action]()})
	foreign := []string{elsewhere, "actions/notes.txt", "actions/" + as[0].ID.String() + "/notes.txt", strings.ToUpper(fresh(&as[0])), "other/file"}
	for _, key := range foreign {
		put(key)
	}
	if done := sweep(w); done.Orphans != 0 || len(kept(w)) != 4+len(foreign) {
		t.Errorf("sweep = %+v, want uploads of now left alone", done)
	}
	age(w)
	if done := sweep(w); done.Orphans != 3 || done.Foreign != 3 || len(done.Missing) != 0 {
		t.Errorf("sweep = %+v, want three orphans, and what is not ours left alone", done)
	}
	left := kept(w)
	if len(left) != 1+len(foreign) {
		t.Errorf("left = %v", left)
	}
	if _, r, err := w.Engine.OpenAttachment(t.Context(), row.ID); err != nil {
		t.Error(err)
	} else {
		_ = r.Close()
	}
}

func TestMissingFilesAreFoundAmongOthers(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	as := w.Create(w.Complaints(3, model.SeverityHigh)...)
	var rows []*model.ActionAttachment
	for i := range as {
		for range 3 {
			row, err := w.Engine.Attach(t.Context(), request(&as[i]), strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, row)
		}
	}
	want := map[model.AttachmentID]bool{}
	for _, i := range []int{0, 4, 8} {
		want[rows[i].ID] = true
		if err := w.Files.Delete(t.Context(), rows[i].StorageKey); err != nil {
			t.Fatal(err)
		}
	}
	age(w)
	done := sweep(w)
	if done.Orphans != 0 || len(done.Missing) != 3 {
		t.Fatalf("sweep = %+v", done)
	}
	for _, id := range done.Missing {
		if !want[id] {
			t.Errorf("%s is told missing", id)
		}
	}
}

// TestTheNamesOfFilesStayOutOfTheLog: a file's name and description may be a
// patient's.
func TestTheNamesOfFilesStayOutOfTheLog(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	var out bytes.Buffer
	e := engine.New(engine.Options{Store: w.Store, Files: w.Files, FileLimit: 1000, Log: zerolog.New(&out)})
	t.Cleanup(e.Close)
	for _, body := range []string{text, "<html>", "", strings.Repeat("x", 1001)} {
		if _, err := e.Attach(t.Context(), request(&a), strings.NewReader(body)); err != nil && strings.Contains(err.Error(), "Secret") {
			t.Errorf("error = %v", err)
		}
	}
	if err := w.Files.Delete(t.Context(), kept(w)[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := e.SweepFiles(t.Context()); err != nil {
		t.Fatal(err)
	}
	if log := out.String(); strings.Contains(log, "Secret") || !strings.Contains(log, "files of attachments are missing") || !strings.Contains(log, "action moved") {
		t.Errorf("log = %s", log)
	}
}

func TestASweepOfAStorageThatIsAwayFails(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	b, err := files.New("file:///dev/null/px")
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(engine.Options{Store: w.Store, Files: b})
	t.Cleanup(e.Close)
	if _, err := e.SweepFiles(t.Context()); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("sweep = %v, want unavailable", err)
	}
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	if _, err := e.Attach(t.Context(), request(&a), strings.NewReader(text)); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("attach = %v, want unavailable", err)
	}
	without := engine.New(engine.Options{Store: w.Store})
	t.Cleanup(without.Close)
	if done, err := without.SweepFiles(t.Context()); err != nil || done.Orphans != 0 {
		t.Errorf("without storage = %+v, %v", done, err)
	}
}
