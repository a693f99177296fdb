#include "privsep/control/check/loop_answers.h"

#include <algorithm>

#include "io/timer.h"

namespace postern::check {
namespace {

// Shared with callbacks that may come after the deadline.
struct Waiting {
  std::size_t missing = 0;
  bool running = false;
  mail::dns::Facts facts;
};

}  // namespace

Result<LoopAnswers> LoopAnswers::create(io::Loop& loop, io::StubOptions options) {
  TRY_ASSIGN(auto resolver, io::StubResolver::create(loop, std::move(options)));
  return LoopAnswers(loop, std::move(resolver));
}

void LoopAnswers::answer(const mail::dns::Questions& questions, mail::dns::Facts& facts, SteadyTime deadline) {
  const auto waiting = std::make_shared<Waiting>();
  waiting->missing = questions.size();
  for (const auto& question : questions)
    resolver_->ask(question, [waiting, question, loop = loop_](const mail::dns::Answer& answer) {
      waiting->facts.add(question, answer);
      if (--waiting->missing == 0 && waiting->running) loop->stop();
    });
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - loop_->steady());
  if (waiting->missing > 0 && left.count() > 0) {
    io::Timer timer(*loop_);
    timer.start(left, [loop = loop_] { loop->stop(); });
    waiting->running = true;
    loop_->run();
    waiting->running = false;
  }
  for (const auto& question : questions) {
    const auto* answer = waiting->facts.find(question.name, question.type);
    facts.add(question, answer != nullptr ? *answer : mail::dns::Answer{});
  }
}

Answerer LoopAnswers::until(SteadyTime deadline) {
  return [this, deadline](const mail::dns::Questions& questions, mail::dns::Facts& facts) { answer(questions, facts, deadline); };
}

}  // namespace postern::check
