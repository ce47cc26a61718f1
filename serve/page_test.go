package serve_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// browser is a headless Chromium that obeys commands of its DevTools protocol, which are JSON that ends with a zero byte.
type browser struct {
	t       *testing.T
	to      *os.File
	from    *bufio.Reader
	session string
	sent    int
	events  map[string]bool // names of those so far
}

// browse opens an address in a Chromium, which ends with the test. Without one in the path the test is skipped.
func browse(t *testing.T, url string) *browser {
	t.Helper()
	command := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil && command == "" {
			command = path
		}
	}
	if command == "" {
		t.Skip("needs Chromium in the path: apt-get install chromium")
	}
	orders, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, replies, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(command, "--headless=new", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(), "--remote-debugging-pipe", "about:blank")
	c.ExtraFiles = []*os.File{orders, replies} // its descriptors 3 and 4
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	orders.Close()
	replies.Close()
	b := &browser{t: t, to: to, from: bufio.NewReader(from), events: map[string]bool{}}
	t.Cleanup(func() {
		to.WriteString(`{"id":0,"method":"Browser.close"}` + "\x00")
		to.Close()
		c.Wait()
		from.Close()
	})
	var target, session map[string]any
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	b.call("Target.attachToTarget", map[string]any{"targetId": target["targetId"], "flatten": true}, &session)
	b.session = session["sessionId"].(string)
	b.call("Page.enable", nil, nil)
	b.call("Page.navigate", map[string]any{"url": url}, nil)
	for !b.events["Page.loadEventFired"] {
		b.read()
	}
	return b
}

// call sends a command and decodes its result.
func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	b.sent++
	order := map[string]any{"id": b.sent, "method": method, "params": params}
	if params == nil {
		delete(order, "params")
	}
	if b.session != "" {
		order["sessionId"] = b.session
	}
	text, err := json.Marshal(order)
	if err == nil {
		_, err = b.to.Write(append(text, 0))
	}
	if err != nil {
		b.t.Fatal(err)
	}
	var r reply
	for r.ID != b.sent {
		r = b.read()
	}
	if result != nil && r.Error == nil {
		err = json.Unmarshal(r.Result, result)
	}
	if err != nil || r.Error != nil {
		b.t.Fatalf("%s: %v, %s", method, err, r.Error)
	}
}

// reply is the reply to a command or, with a method, an event.
type reply struct {
	ID            int
	Method        string
	Result, Error json.RawMessage
}

func (b *browser) read() (r reply) {
	b.t.Helper()
	text, err := b.from.ReadBytes(0)
	if err == nil {
		err = json.Unmarshal(text[:len(text)-1], &r)
	}
	if err != nil {
		b.t.Fatalf("Chromium: %v", err)
	}
	b.events[r.Method] = true
	return r
}

// run runs a function's body in the page and returns what it returns, a text.
func (b *browser) run(script string) string {
	b.t.Helper()
	var r struct {
		Result           struct{ Value any }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", map[string]any{"expression": "(async () => {" + script + "})()", "awaitPromise": true, "returnByValue": true}, &r)
	if r.ExceptionDetails != nil {
		b.t.Fatalf("the page's script fails: %s", r.ExceptionDetails)
	}
	return fmt.Sprint(r.Result.Value)
}

// In a browser, a photo and a file that is none are dropped on the page; it shows the classes of the one and the error of the other,
// and why a request was refused as a whole.
func TestPage(t *testing.T) {
	url, cancel, ended := start(t, &network{}, options)
	defer func() {
		cancel()
		<-ended
	}()
	b := browse(t, url)
	const drop = `const until = async test => { while (!test()) await new Promise(r => setTimeout(r, 10)); };
		await until(() => document.getElementById("network").textContent);
		const data = new DataTransfer();
		for (const [name, text] of FILES) data.items.add(new File([text], name, {type: "image/jpeg"}));
		document.getElementById("drop").dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
		await until(() => DONE);
		return document.body.innerText`
	shown := b.run(strings.NewReplacer("FILES", `[["ä <b>.jpg", "c"], ["none.jpg", "xx"]]`, "DONE", `document.querySelectorAll("article").length == 2`).Replace(drop))
	for _, words := range []string{"DARTS_V2, 26 classes", "ä <b>.jpg", "class 2", "100.0 %", "none.jpg", "no image"} {
		if !strings.Contains(shown, words) {
			t.Errorf("the page shows %q without %q", shown, words)
		}
	}
	shown = b.run(strings.NewReplacer("FILES", `[["a", "a"], ["b", "b"], ["c", "c"], ["d", "d"]]`, "DONE", `document.getElementById("message").className == "error"`).Replace(drop))
	if !strings.Contains(shown, "more than 3 images") {
		t.Errorf("the page shows %q", shown)
	}
}
