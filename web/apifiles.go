package web

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/openapi"
	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

const (
	// fileTime (machine time) is how long a file may be under way, either way.
	fileTime = 30 * time.Minute
	// maxField is how long a field of the form may be, in bytes.
	maxField = 64 << 10
	formType = "multipart/form-data"
)

// Attachment is a file on an action.
type Attachment struct {
	ID          string     `json:"id" format:"uuid"`
	Filename    string     `json:"filename"`
	FileType    string     `json:"file_type" doc:"As found in the file."`
	FileSize    int64      `json:"file_size" doc:"Bytes."`
	SHA256      string     `json:"sha256" doc:"In hex."`
	Description string     `json:"description,omitempty"`
	IsEvidence  bool       `json:"is_evidence"`
	UploadedBy  string     `json:"uploaded_by,omitempty" doc:"By code; absent: an API key for itself."`
	CreatedAt   time.Time  `json:"created_at"`
	ErasedAt    *time.Time `json:"erased_at,omitempty" doc:"When its name, description and file were erased; the rest stays."`
}

// AttachmentList is the files of an action.
type AttachmentList struct {
	Attachments []Attachment `json:"attachments" nullable:"false" doc:"Newest first."`
}

func attachmentOf(row *model.ActionAttachment, dir *sla.Directory) Attachment {
	return Attachment{
		ID: row.ID.String(), Filename: row.Filename, FileType: row.FileType, FileSize: row.FileSize, SHA256: hex.EncodeToString(row.SHA256),
		Description: row.Description, IsEvidence: row.IsEvidence, UploadedBy: userCode(dir, row.UploadedBy), CreatedAt: row.CreatedAt.UTC(), ErasedAt: utc(row.ErasedAt),
	}
}

// attach adds a file, which is stored as it comes in.
func (a *api) attach(c *call) error {
	row, err := c.action(a)
	if err != nil {
		return err
	}
	version, err := ifMatch(c.r.Header.Values("If-Match"), row.Version)
	if err != nil {
		return err
	}
	// The server's own limits are for requests without files.
	control, until := http.NewResponseController(c.w), time.Now().Add(fileTime)
	if err := errors.Join(control.SetReadDeadline(until), control.SetWriteDeadline(until.Add(time.Minute))); err != nil {
		return fmt.Errorf("wait for a file: %w", err)
	}
	req := engine.AttachRequest{ActionID: row.ID, Version: version, Actor: c.Person(), Origin: c.origin()}
	file, err := readForm(c.r, &req)
	if err != nil {
		return err
	}
	stored, err := a.engine.Attach(c.whole.Context(), req, file)
	if err != nil {
		return moveError(err, row)
	}
	c.w.Header().Set("Location", "/v1/actions/"+row.ID.String()+"/attachments/"+stored.ID.String())
	problem.JSON(c.w, http.StatusCreated, attachmentOf(stored, c.Dir))
	return nil
}

// readForm reads a form up to its file, which is to be the last part of it.
func readForm(r *http.Request, req *engine.AttachRequest) (io.Reader, error) {
	form, err := r.MultipartReader()
	if err != nil {
		return nil, &badRequest{status: http.StatusUnsupportedMediaType, code: problem.MediaType, title: "A form with a file is expected", detail: "Content-Type: " + formType}
	}
	for {
		part, err := form.NextPart()
		switch {
		case errors.Is(err, io.EOF):
			return nil, model.FieldErrors{{Field: "file", Code: "required", Want: "the file, as the last part of the form"}}
		case err != nil:
			return nil, &badRequest{status: http.StatusBadRequest, code: problem.Unreadable, title: "The form cannot be read"}
		case part.FormName() == "file":
			req.Filename = part.FileName()
			return &lastPart{part: part, form: form}, nil
		}
		if err := readField(part, req); err != nil {
			return nil, err
		}
	}
}

func readField(part *multipart.Part, req *engine.AttachRequest) error {
	value, err := io.ReadAll(io.LimitReader(part, maxField))
	if err != nil {
		return &badRequest{status: http.StatusBadRequest, code: problem.Truncated, title: "The request did not arrive whole"}
	}
	switch name := part.FormName(); name {
	case "description":
		req.Description = string(value)
	case "is_evidence":
		if req.Evidence, err = strconv.ParseBool(strings.TrimSpace(string(value))); err != nil {
			return model.FieldErrors{{Field: name, Code: "type", Want: "true or false"}}
		}
	default:
		return model.FieldErrors{{Field: model.FieldName(name), Code: "unknown", Want: "description, is_evidence, and the file behind them"}}
	}
	return nil
}

// lastPart reads a file and makes sure that nothing stands behind it, which
// would be overlooked.
type lastPart struct {
	part *multipart.Part
	form *multipart.Reader
}

// Read implements io.Reader.
func (l *lastPart) Read(b []byte) (int, error) {
	n, err := l.part.Read(b)
	switch {
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF):
		return n, &badRequest{status: http.StatusBadRequest, code: problem.Truncated, title: "The file did not arrive whole"}
	}
	switch _, next := l.form.NextPart(); {
	case errors.Is(next, io.EOF):
		return n, io.EOF
	case next == nil:
		return n, model.FieldErrors{{Field: "file", Code: "conflict", Want: "the last part of the form: the other fields before it"}}
	default:
		return n, &badRequest{status: http.StatusBadRequest, code: problem.Truncated, title: "The file did not arrive whole"}
	}
}

// files lists an action's files.
func (a *api) files(c *call) error {
	row, err := c.action(a)
	if err != nil {
		return err
	}
	rows, err := a.engine.Store.Attachments(c.r.Context(), row.ID)
	if err != nil {
		return err
	}
	out := AttachmentList{Attachments: []Attachment{}}
	for i := range rows {
		out.Attachments = append(out.Attachments, attachmentOf(&rows[i], c.Dir))
	}
	problem.JSON(c.w, http.StatusOK, out)
	return nil
}

// file answers with a file, which a browser saves and does not show.
func (a *api) file(c *call) error {
	row, err := c.action(a)
	if err != nil {
		return err
	}
	id, err := model.ParseID[model.ActionAttachment](c.r.PathValue("attachment"))
	if err != nil {
		return fmt.Errorf("no id of an attachment: %w", model.ErrNotFound)
	}
	file, content, err := a.engine.OpenAttachment(c.whole.Context(), id)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	if file.ActionID != row.ID {
		return fmt.Errorf("of another action: %w", model.ErrNotFound)
	}
	h, tag := c.w.Header(), `"`+hex.EncodeToString(file.SHA256)+`"`
	h.Set("ETag", tag)
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "private, no-cache")
	if strings.Contains(c.r.Header.Get("If-None-Match"), tag) {
		c.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", file.FileType)
	h.Set("Content-Length", strconv.FormatInt(file.FileSize, 10))
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": file.Filename}))
	if err := http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(fileTime)); err != nil {
		return fmt.Errorf("send a file: %w", err)
	}
	if _, err := io.Copy(c.w, content); err != nil {
		a.log.Warn().Err(err).Stringer("attachment", id).Str("request_id", c.request).Msg("file not sent whole")
		panic(http.ErrAbortHandler) // so that nobody takes what came for all of it
	}
	return nil
}

// filing describes files.
func (d *describer) filing() {
	attach := d.op(opAttach, "Add a file", "A form whose last part is the file; it is stored as it comes in, looked into for its type, and hashed.",
		400, 404, 409, 412, 415, 422)
	added := answer[Attachment](d, &attach, http.StatusCreated, "Kept, and told of in the action's log.")
	added.Headers["Location"] = openapi.Always("The file's address.")
	type attachParams struct {
		ActionParams
		IfMatch string `header:"If-Match" doc:"The ETag of the action as it was read: another version is refused (412). * or absent: any."`
	}
	text := func(description string) *huma.Schema {
		return &huma.Schema{Type: huma.TypeString, Description: description}
	}
	form := &huma.Schema{Type: huma.TypeObject, Required: []string{"file"}, Properties: map[string]*huma.Schema{
		"description": text("What it shows; at most 2000 bytes."),
		"is_evidence": {Type: huma.TypeBoolean, Description: "It counts where the SLA config asks for evidence."},
		"file":        {Type: huma.TypeString, Format: "binary", Description: "Last of all."},
	}}
	openapi.Describe[attachParams](d.api, attach, &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{formType: {Schema: form}}})

	list := d.op(opFiles, "List an action's files", "", 404)
	answer[AttachmentList](d, &list, http.StatusOK, "The files.")
	openapi.Describe[ActionParams](d.api, list, nil)

	get := d.op(opFile, "One file", "To be saved, not shown.", 404)
	whole := openapi.Answer(&get, http.StatusOK, "The file, of the type that was found in it.", "*/*", &huma.Schema{Type: huma.TypeString, Format: "binary"})
	whole.Headers["Content-Disposition"] = openapi.Header("attachment, and the file's name.")
	same := openapi.Empty(&get, http.StatusNotModified, "The reader has it: If-None-Match names its ETag.")
	for _, r := range []*huma.Response{whole, same} {
		r.Headers["ETag"] = openapi.Header("The file's SHA-256, in quotes.")
	}
	type fileParams struct {
		ActionParams
		Attachment  string `path:"attachment" format:"uuid"`
		IfNoneMatch string `header:"If-None-Match" doc:"The ETag that the reader has."`
	}
	openapi.Describe[fileParams](d.api, get, nil)
}
