// smtpsink - takes mail and drops it (a thread a connection, blocking sockets, OpenSSL).
//
// What Postfix's smtp-sink does not: STARTTLS. It ends by itself, so a run can wait for it.
//
//   smtpsink -p PORT -n COUNT [-a ADDRESS] [-k KEY_AND_CERTIFICATE.pem]
//   Without -k it has no STARTTLS. After COUNT messages, or on SIGINT, it prints one line of key=value pairs and exits.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static SSL_CTX *ctx;
static long wanted;
static atomic_long messages, recipients, connections, handshakes;

struct conn {
  int fd;
  SSL *ssl;
  size_t pos, len;
  char buf[16384];
};

static void finish(int unused) {
  (void)unused;
  char line[200];
  int n = snprintf(line, sizeof line, "messages=%ld recipients=%ld connections=%ld handshakes=%ld\n", (long)messages, (long)recipients, (long)connections,
                   (long)handshakes);
  if (write(1, line, (size_t)n) < 0) _exit(1);
  _exit(0);
}

static int fill(struct conn *c) {
  for (;;) {
    ssize_t n = c->ssl ? SSL_read(c->ssl, c->buf, sizeof c->buf) : recv(c->fd, c->buf, sizeof c->buf, 0);
    if (n <= 0 && !c->ssl && errno == EINTR) continue;
    if (n <= 0) return -1;
    c->pos = 0;
    c->len = (size_t)n;
    return 0;
  }
}

static int say(struct conn *c, const char *text) {
  size_t n = strlen(text);
  return (c->ssl ? SSL_write(c->ssl, text, (int)n) : send(c->fd, text, n, MSG_NOSIGNAL)) == (ssize_t)n ? 0 : -1;
}

// One command line without its end; a longer one is cut.
static int command(struct conn *c, char *line, size_t cap) {
  for (size_t n = 0;;) {
    if (c->pos == c->len && fill(c)) return -1;
    char ch = c->buf[c->pos++];
    if (ch == '\n') return line[n] = 0, 0;
    if (ch != '\r' && n + 1 < cap) line[n++] = ch;
  }
}

// Reads past CR LF "." CR LF.
static int swallow_data(struct conn *c) {
  static const char end[] = "\r\n.\r\n";
  size_t matched = 2;  // the line end of DATA counts
  for (;;) {
    if (c->pos == c->len && fill(c)) return -1;
    if (matched == 0) {  // to the next line end at once
      char *cr = memchr(c->buf + c->pos, '\r', c->len - c->pos);
      c->pos = cr ? (size_t)(cr - c->buf) : c->len;
      if (!cr) continue;
    }
    char ch = c->buf[c->pos++];
    if (ch == end[matched]) {
      if (++matched == sizeof end - 1) return 0;
    } else {
      matched = ch == '\r';
    }
  }
}

// Replies to commands that came together go out together (RFC 2920 §3.2).
static void serve(struct conn *c) {
  char line[2048], out[8192] = "";
  size_t used = 0;
  int quit = 0;
  if (say(c, "220 sink.test ESMTP\r\n")) return;
  while (!quit) {
    if (used && (c->pos == c->len || used > sizeof out - 512)) {
      if (say(c, out)) return;
      used = 0;
      out[0] = 0;
    }
    if (command(c, line, sizeof line)) return;
    const char *reply = "250 2.0.0 ok\r\n";
    int after = 0;
    if (!strncasecmp(line, "EHLO", 4)) {
      reply = ctx && !c->ssl ? "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-STARTTLS\r\n250 SIZE 100000000\r\n"
                             : "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 100000000\r\n";
    } else if (!strncasecmp(line, "RCPT", 4)) {
      atomic_fetch_add(&recipients, 1);
    } else if (!strncasecmp(line, "DATA", 4)) {
      reply = "354 go on\r\n";
      after = 'd';
    } else if (!strncasecmp(line, "QUIT", 4)) {
      reply = "221 2.0.0 bye\r\n";
      quit = 1;
    } else if (ctx && !c->ssl && !strncasecmp(line, "STARTTLS", 8)) {
      reply = "220 2.0.0 go on\r\n";
      after = 't';
    }
    used += (size_t)snprintf(out + used, sizeof out - used, "%s", reply);
    if (!after) continue;
    if (say(c, out)) return;
    used = 0;
    out[0] = 0;
    if (after == 't') {
      c->ssl = SSL_new(ctx);
      SSL_set_fd(c->ssl, c->fd);
      if (SSL_accept(c->ssl) != 1) return;
      atomic_fetch_add(&handshakes, 1);
      c->pos = c->len = 0;
      continue;
    }
    if (swallow_data(c)) return;
    if (say(c, "250 2.0.0 taken\r\n")) return;
    if (atomic_fetch_add(&messages, 1) + 1 == wanted) {
      usleep(100000);  // the last answers are read before the sockets close
      finish(0);
    }
  }
  if (used) say(c, out);
}

static void *session(void *argument) {
  struct conn *c = argument;
  serve(c);
  if (c->ssl) SSL_free(c->ssl);
  close(c->fd);
  free(c);
  return NULL;
}

static SSL_CTX *tls_of(const char *pem) {
  SSL_CTX *made = SSL_CTX_new(TLS_server_method());
  if (SSL_CTX_use_certificate_chain_file(made, pem) == 1 && SSL_CTX_use_PrivateKey_file(made, pem, SSL_FILETYPE_PEM) == 1) return made;
  fprintf(stderr, "%s: no certificate and key\n", pem);
  exit(2);
}

int main(int argc, char **argv) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY), .sin_port = htons(25)};
  for (int o; (o = getopt(argc, argv, "p:n:a:k:")) != -1;) switch (o) {
      case 'p': at.sin_port = htons((uint16_t)atoi(optarg)); break;
      case 'n': wanted = atol(optarg); break;
      case 'a': inet_pton(AF_INET, optarg, &at.sin_addr); break;
      case 'k': ctx = tls_of(optarg); break;
      default: return 2;
    }
  signal(SIGPIPE, SIG_IGN);
  signal(SIGINT, finish);
  int listening = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listening, (struct sockaddr *)&at, sizeof at) || listen(listening, 1024)) { perror("smtpsink"); return 2; }
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 256 * 1024);
  pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
  for (;;) {
    struct conn *c = calloc(1, sizeof *c);
    c->fd = accept(listening, NULL, NULL);
    if (c->fd < 0) { free(c); continue; }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    atomic_fetch_add(&connections, 1);
    pthread_t thread;
    if (pthread_create(&thread, &small, session, c)) { close(c->fd); free(c); }
  }
}
