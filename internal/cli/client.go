package cli

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// clientFlags are the flags of every subcommand that connects as a user.
type clientFlags struct {
	url, name, token, tokenFile string
}

func (c *clientFlags) add(flags *pflag.FlagSet) {
	c.addURL(flags)
	flags.StringVar(&c.name, "name", "", "the display `name` to ask for (default: the node makes one up)")
	flags.StringVar(&c.token, "token", "", "who to be: a guest's `token` or a JWT; better given as CHAT_TOKEN")
	flags.StringVar(&c.tokenFile, "token-file", "", "a `FILE` that keeps the token, made at the first call: the same user at\nevery call; or one that your application keeps a JWT in")
}

// addURL adds the flag that all subcommands have which talk to a node.
func (c *clientFlags) addURL(flags *pflag.FlagSet) {
	flags.StringVar(&c.url, "url", "http://localhost:8080", "the `URL` of any node")
}

// options returns the client's options for the flags.
func (c *clientFlags) options() (client.Options, error) {
	if _, err := client.Endpoint(c.url); err != nil {
		return client.Options{}, usage("--url "+clean(err.Error()), "give one as http://localhost:8080")
	}
	opts := client.Options{URL: c.url, Name: c.name}
	setToken(&opts, c.token)
	return opts, nil
}

// setToken sets the guest's token or JWT of the hello.
func setToken(opts *client.Options, token string) {
	opts.Auth, opts.Token = "", token
	if isJWT(token) {
		opts.Auth, opts.Token = token, ""
	}
}

// isJWT reports whether a token has the form of a JWT (RFC 7519), unlike a guest's
// token: three parts, of which the first is a JSON object that names an algorithm.
func isJWT(token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		return false
	}
	var fields struct {
		Alg *string `json:"alg"`
	}
	return json.Unmarshal(header, &fields) == nil && fields.Alg != nil
}

// parseClient parses the command line of such a subcommand. help is true if --help was
// given; then the help has been printed.
func parseClient(command, about string, flags *pflag.FlagSet, args []string, stdout io.Writer) (help bool, err error) {
	flags.SortFlags = false
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	flags.BoolVarP(&help, "help", "h", false, "")
	_ = flags.MarkHidden("help")
	if err := flags.Parse(args); err != nil {
		return false, usage(clean(err.Error()), "chat "+command+" --help lists the flags")
	}
	if help {
		environment := "CHAT_URL, CHAT_NAME, CHAT_TOKEN and CHAT_TOKEN_FILE in the environment stand for flags that are not given."
		if flags.Lookup("name") == nil {
			environment = "CHAT_URL in the environment stands for --url."
		}
		fmt.Fprintf(stdout, "%s\n%s\n\n%s", about, environment, flags.FlagUsages())
		return true, nil
	}
	if err := refuseEmpty(flags); err != nil {
		return false, err
	}
	if err := clientEnv(command, flags); err != nil {
		return false, err
	}
	return false, nil
}

// clientEnv sets flags that were not given from the environment. Of --token and
// --token-file only one can apply: a flag wins over the environment.
func clientEnv(command string, flags *pflag.FlagSet) error {
	identities := []string{"token", "token-file"}
	if flags.Lookup("token") != nil && flags.Changed("token") && flags.Changed("token-file") {
		return usage("--token and --token-file contradict each other", "leave one out: both say who to be")
	}
	if flags.Changed("token") || flags.Changed("token-file") {
		identities = nil
	}
	for _, name := range append([]string{"url", "name"}, identities...) {
		if flags.Lookup(name) == nil || flags.Changed(name) {
			continue
		}
		value := os.Getenv(EnvName(name))
		if value == "" {
			continue
		}
		if err := flags.Set(name, value); err != nil {
			return usage(EnvName(name)+" does not fit --"+name, "chat "+command+" --help tells more")
		}
	}
	if flags.Lookup("token") != nil && flags.Changed("token") && flags.Changed("token-file") {
		return usage("CHAT_TOKEN and CHAT_TOKEN_FILE contradict each other", "leave one out: both say who to be")
	}
	return nil
}

// roomArg checks the name of a room before anything connects.
func roomArg(name string) (string, error) {
	room, bad := protocol.Room(name)
	if bad != nil {
		return "", usage(fmt.Sprintf("%q is no room", name), bad.Message)
	}
	return room, nil
}

// explain returns one line that says why a call to a node failed, and what to do.
func explain(err error) error {
	var absent *client.UnreachableError
	var closed *client.ClosedError
	var refused *protocol.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled) && errors.Is(err, client.ErrUnknown):
		return fmt.Errorf("interrupted: %w", client.ErrUnknown)
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted before it was sent")
	case errors.As(err, &absent):
		return fmt.Errorf("%s: is it running? give --url", clean(absent.Error()))
	case errors.As(err, &closed) && closed.Code == protocol.CloseNoHello:
		return fmt.Errorf("%s: give --token, or a --token-file in which your application keeps a JWT that holds", clean(err.Error()))
	case errors.As(err, &refused) && refused.Code == protocol.CodeNameTaken:
		return fmt.Errorf("%s: give another --name, or the --token or --token-file of its user", clean(refused.Error()))
	case errors.As(err, &refused) && refused.Code == protocol.CodeUnauthorized:
		return fmt.Errorf("%s: give another --token, or none", clean(refused.Error()))
	}
	return errors.New(clean(err.Error()))
}
