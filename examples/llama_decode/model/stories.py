"""Short stories for the small model that ships with llama_decode: made up by rules, all of them written for this project.

    stories.py [COUNT] [--seed SEED]        prints stories, to read what the model is taught

A story has a hero, a place, a thing and a wish or a worry; a plot puts them in order and says each step in one of
several ways. What was said once stays true: names, colours, weather and who has the thing never change by themselves,
so a model can learn that they do not.
"""

import argparse
import random

PEOPLE = [
    ("Mia", "she"),
    ("Tom", "he"),
    ("Anna", "she"),
    ("Ben", "he"),
    ("Lily", "she"),
    ("Max", "he"),
    ("Zoe", "she"),
    ("Sam", "he"),
    ("Nora", "she"),
    ("Leo", "he"),
    ("Ida", "she"),
    ("Paul", "he"),
    ("Emma", "she"),
    ("Finn", "he"),
]
ANIMALS = [
    ("fox", "he"),
    ("mouse", "she"),
    ("bear", "he"),
    ("rabbit", "she"),
    ("owl", "she"),
    ("frog", "he"),
    ("duck", "she"),
    ("hedgehog", "he"),
    ("cat", "she"),
    ("dog", "he"),
    ("goat", "she"),
    ("turtle", "he"),
    ("squirrel", "she"),
    ("crow", "he"),
]
NAMES = [
    "Pip",
    "Momo",
    "Bruno",
    "Tilly",
    "Nuts",
    "Bella",
    "Oscar",
    "Daisy",
    "Rufus",
    "Penny",
    "Otto",
    "Luna",
    "Hugo",
    "Rosie",
]
SIZES = ["little", "small", "young", "clever", "shy", "brave", "kind", "curious", "quiet", "cheerful"]
HOMES = [
    "near the forest",
    "by the river",
    "on a green hill",
    "at the edge of the village",
    "under an old oak tree",
    "beside the lake",
    "in a house with a red roof",
    "behind the mill",
    "close to the sea",
    "in a warm valley",
]
THINGS = [
    "ball",
    "kite",
    "boat",
    "hat",
    "lamp",
    "key",
    "drum",
    "bell",
    "basket",
    "cup",
    "book",
    "flute",
    "scarf",
    "coin",
]
COLOURS = ["red", "blue", "green", "yellow", "white", "golden", "silver", "brown", "orange", "purple"]
PLACES = [
    ("forest", "in", "among the tall trees"),
    ("garden", "in", "between the flowers"),
    ("meadow", "in", "in the high grass"),
    ("park", "in", "on a wooden bench"),
    ("old barn", "in", "under the dry straw"),
    ("cave", "in", "behind a big stone"),
    ("beach", "on", "in the warm sand"),
    ("hill", "on", "next to a round rock"),
    ("market", "at", "under a table"),
    ("bridge", "at", "in the shallow water below"),
]
WEATHER = [
    "The sun was shining.",
    "It was a windy day.",
    "The sky was blue and clear.",
    "It had rained in the night.",
    "It was a cold morning.",
    "White clouds moved slowly over the hills.",
    "The air smelled of flowers.",
    "Snow lay on the ground.",
]
FOODS = ["bread", "soup", "apples", "honey cake", "pancakes", "cheese", "berries", "sweet plums", "nuts", "a big pie"]
FEELINGS = {
    "sad": ["sad", "very sad", "unhappy"],
    "glad": ["happy", "very happy", "glad", "full of joy"],
    "afraid": ["afraid", "a little afraid", "scared"],
}
LESSONS = [
    "It is good to ask for help.",
    "A friend is worth more than any treasure.",
    "Small steps can take you far.",
    "Sharing makes everyone happy.",
    "Being brave does not mean that you are never afraid.",
    "The truth is always the best way.",
    "If you try again, you can do it.",
    "Kind words cost nothing.",
    "Two can carry what one cannot.",
]
DAYS = ["One morning", "One day", "One afternoon", "One evening", "Early one morning", "On a quiet Sunday"]


def cap(text):
    return text[0].upper() + text[1:]


class Being:
    """Somebody in a story: how to call them first, later, and by pronoun."""

    def __init__(self, rng, taken):
        animal = rng.random() < 0.6
        while True:
            if animal:
                self.kind, self.he = rng.choice(ANIMALS)
                self.name = rng.choice(NAMES)
            else:
                self.name, self.he = rng.choice(PEOPLE)
                self.kind = "girl" if self.he == "she" else "boy"
            if self.name not in taken and self.kind not in [k for k in taken.values() if animal]:
                break
        taken[self.name] = self.kind
        self.size = rng.choice(SIZES)
        self.him, self.his = ("her", "her") if self.he == "she" else ("him", "his")
        self.article = "an" if self.kind[0] in "aeiou" else "a"

    def first(self):
        return f"a {self.size} {self.kind} named {self.name}"


class Story:
    def __init__(self, rng):
        self.rng = rng
        taken = {}
        self.hero, self.friend, self.third = (Being(rng, taken) for _ in range(3))
        self.thing, self.colour = rng.choice(THINGS), rng.choice(COLOURS)
        self.article = "an" if self.colour[0] in "aeiou" else "a"
        self.place, self.at, self.spot = rng.choice(PLACES)
        self.home, self.food, self.weather = rng.choice(HOMES), rng.choice(FOODS), rng.choice(WEATHER)
        self.day, self.lesson = rng.choice(DAYS), rng.choice(LESSONS)

    def feel(self, what):
        return self.rng.choice(FEELINGS[what])

    def say(self, *ways):
        """One of several ways to say the same, with the story's names filled in."""
        h, f, t = self.hero, self.friend, self.third
        text = self.rng.choice(ways)
        words = dict(
            H=h.name,
            he=h.he,
            him=h.him,
            his=h.his,
            He=cap(h.he),
            His=cap(h.his),
            F=f.name,
            fhe=f.he,
            fhim=f.him,
            fhis=f.his,
            Fhe=cap(f.he),
            T=t.name,
            the=t.he,
            this=t.his,
            fkind=f.kind,
            tkind=t.kind,
            thing=self.thing,
            colour=self.colour,
            a=self.article,
            place=self.place,
            at=self.at,
            spot=self.spot,
            home=self.home,
            food=self.food,
            kind=h.kind,
            glad=self.feel("glad"),
            sad=self.feel("sad"),
            afraid=self.feel("afraid"),
        )
        return text.format(**words)

    def opening(self):
        return [
            self.say(
                "Once upon a time there was " + self.hero.first() + ".",
                "There once was " + self.hero.first() + ".",
                "Once there lived " + self.hero.first() + ".",
            ),
            self.say("{He} lived {home}.", "{H} lived {home}.", "{His} home was {home}."),
        ]

    def outing(self):
        return [
            f"{self.day}, "
            + self.say("{H} went to the {place}.", "{H} walked to the {place}.", "{he} went to the {place}."),
            self.weather,
        ]

    def meet(self):
        return [
            self.say(
                "There {he} met {F}, " + f"{self.friend.article} {{fkind}}.",
                "On the way {he} met {F}, " + f"{self.friend.article} {{fkind}}.",
                "Soon {he} met " + f"{self.friend.article} {{fkind}} named {{F}}.",
            )
        ]

    def ending(self):
        home = self.say(
            "Then they went home and ate {food}.",
            "In the evening they ate {food} together.",
            "{H} and {F} ate {food} and laughed.",
            "They sat down and shared {food}.",
        )
        last = self.say(
            "From that day on, {H} and {F} were best friends.",
            "That night {H} slept very well.",
            "{H} never forgot that day.",
            "{H} smiled all the way home.",
        )
        end = [home, last]
        if self.rng.random() < 0.6:
            end.append(
                self.say("{H} had learned something: ", "And {H} knew now: ", "{He} thought: ")
                + self.lesson[0].lower()
                + self.lesson[1:]
            )
        return end


def lost(s):
    """The hero loses a thing and finds it with a friend."""
    return (
        "The Lost " + cap(s.thing),
        [
            s.opening()
            + [
                s.say(
                    "{H} had {a} {colour} {thing} and loved it very much.",
                    "{His} favourite thing was {a} {colour} {thing}.",
                    "{He} had a {thing}. It was {colour}, and {he} took it everywhere.",
                )
            ],
            s.outing()
            + [
                s.say(
                    "{He} played with the {colour} {thing} for a long time.",
                    "{He} wanted to play with the {thing} there.",
                ),
                s.say(
                    "But when {he} looked around, the {thing} was gone!",
                    "Then {he} saw that the {thing} was gone.",
                    "Suddenly the {thing} was gone.",
                ),
            ],
            [
                s.say("{H} was {sad}.", "{H} felt {sad} and began to cry."),
                s.say('"Where is my {thing}?" {he} asked.', '"Oh no, my {colour} {thing}!" {he} cried.'),
            ],
            s.meet()
            + [
                s.say('"Why are you sad?" asked {F}.', '"What is wrong?" asked {F}.'),
                s.say('"I have lost my {colour} {thing}," said {H}.', '"I cannot find my {thing}," said {H}.'),
                s.say(
                    '"I will help you," said {F}.',
                    '"Let us look for it together," said {F}.',
                    '"Do not cry. We will find it," said {F}.',
                ),
            ],
            [
                s.say("They looked everywhere.", "They looked here and there.", "They searched for a long time."),
                s.say(
                    "At last {F} found the {colour} {thing} {spot}.",
                    "Then {H} saw something {colour} {spot}. It was the {thing}!",
                ),
                s.say(
                    '"Thank you, {F}!" said {H}.',
                    "{H} was {glad} and hugged {F}.",
                    '"You are a good friend," said {H}.',
                ),
            ],
            s.ending(),
        ],
    )


def found(s):
    """The hero finds a thing that belongs to somebody, and gives it back."""
    return (
        "The " + cap(s.colour) + " " + cap(s.thing),
        [
            s.opening(),
            s.outing()
            + [
                s.say("{He} saw {a} {colour} {thing} {spot}.", "There, {spot}, lay {a} {colour} {thing}."),
                s.say('"What a beautiful {thing}!" said {H}.', '"Who does this belong to?" {he} wondered.'),
            ],
            [s.say("{He} wanted to keep it.", "{He} picked it up and put it in {his} bag.")]
            + s.meet()
            + [
                s.say("{F} looked {sad}.", "{F} was crying."),
                s.say(
                    '"I have lost my {thing}," said {F}. "It was {colour}."', '"My {colour} {thing} is gone," said {F}.'
                ),
            ],
            [
                s.say("{H} thought about it for a moment.", "{H} looked at the {thing} and thought."),
                s.say("Then {he} gave the {thing} back.", '"Here it is," said {H} and gave {fhim} the {thing}.'),
                s.say("{F} was {glad}.", '"Oh, thank you!" said {F}. {Fhe} was {glad}.'),
                s.say(
                    '"Would you like to play with me?" asked {F}.',
                    '"You are honest," said {F}. "Come and play with me."',
                ),
            ],
            [
                s.say(
                    "They played with the {colour} {thing} until the sun went down.",
                    "All afternoon they played together {at} the {place}.",
                )
            ],
            s.ending(),
        ],
    )


def afraid(s):
    """The hero is afraid of something and dares it with a friend."""
    fear, dared = s.rng.choice(
        [
            ("the dark", "walked into the dark"),
            ("deep water", "jumped into the water"),
            ("thunder", "listened to the thunder"),
            ("high places", "climbed to the top"),
            ("the old bridge", "walked over the old bridge"),
            ("the wind", "stood still in the wind"),
        ]
    )
    return (
        "Brave " + s.hero.name,
        [
            s.opening()
            + [s.say("{H} was afraid of " + fear + ".", "There was one thing that {he} was afraid of: " + fear + ".")],
            s.outing()
            + s.meet()
            + [
                s.say('"Come with me," said {F}.', '"Let us have an adventure," said {F}.'),
                s.say(
                    '"I cannot," said {H}. "I am afraid of ' + fear + '."',
                    '{H} shook {his} head. "I am {afraid}," {he} said.',
                ),
            ],
            [
                s.say("{F} did not laugh.", "{F} smiled and took {his} hand."),
                s.say(
                    '"Everyone is afraid of something," said {F}. "I will stay with you."',
                    '"We can do it together, one step at a time," said {F}.',
                ),
            ],
            [
                s.say("{H} took a deep breath.", "{H} counted to three."),
                s.say("Then {he} " + dared + ".", "Slowly, very slowly, {he} " + dared + "."),
                s.say("It was not so bad at all.", "Nothing bad happened."),
                s.say('"I did it!" called {H}.', '"Look at me!" {he} called. {He} was {glad}.'),
            ],
            s.ending(),
        ],
    )


def gift(s):
    """The hero makes a present for somebody."""
    return (
        "A Present for " + s.friend.name,
        [
            s.opening()
            + [
                s.say(
                    "{His} best friend was {F}, " + f"{s.friend.article} {{fkind}}.",
                    "{He} had a friend, " + f"{s.friend.article} {{fkind}} named {{F}}.",
                )
            ],
            [
                s.say("Tomorrow was {F}'s birthday.", "It was almost {F}'s birthday."),
                s.say('"What can I give {fhim}?" thought {H}.', "{H} wanted to give {fhim} something special."),
                s.say("{He} had no money.", "{He} had only one coin."),
            ],
            s.outing()
            + [
                s.say(
                    "{He} met {T}, " + f"{s.third.article} {{tkind}}.",
                    "There {he} saw {T}, " + f"{s.third.article} {{tkind}}.",
                ),
                s.say(
                    '"I can show you how to make {a} {colour} {thing}," said {T}.',
                    '"Make a {thing} for {fhim}," said {T}. "A {colour} one."'.replace(
                        "A {colour}", cap(s.article) + " {colour}"
                    ),
                ),
                s.say(
                    "They worked all day.",
                    "{H} worked until it was dark.",
                    "It took a long time, but {H} did not give up.",
                ),
            ],
            [
                s.say("The next day {H} went to {F}.", "On the birthday {H} knocked on {F}'s door."),
                s.say('"This is for you," {he} said.', '"Happy birthday!" {he} said.'),
                s.say(
                    "{F} opened the box. There was {a} {colour} {thing}!",
                    "{F} saw the {colour} {thing} and was {glad}.",
                ),
                s.say('"It is the best present of all," said {F}.', '"You made it yourself!" said {F}.'),
            ],
            s.ending(),
        ],
    )


def storm(s):
    """Bad weather comes and somebody opens a door."""
    return (
        "The Storm",
        [
            s.opening(),
            s.outing()
            + [
                s.say("Suddenly the sky became dark.", "Then dark clouds came over the {place}."),
                s.say("It began to rain, and the wind was strong.", "A storm was coming."),
                s.say("{H} was {afraid}.", "{H} was wet and cold."),
            ],
            [
                s.say("{He} saw a light in a window.", "Far away {he} saw a small light."),
                s.say("{He} ran to the house and knocked.", "{He} knocked on the door."),
                s.say(
                    "{F}, " + f"{s.friend.article} {{fkind}}, opened the door.",
                    "The door opened, and there stood {F}, " + f"{s.friend.article} {{fkind}}.",
                ),
                s.say('"Come in, come in!" said {F}.', '"You are all wet! Come in," said {F}.'),
            ],
            [
                s.say("{F} made a fire and gave {him} {food}.", "They sat by the fire and ate {food}."),
                s.say("{F} told a story about {a} {colour} {thing}.", "{F} showed {him} {a} {colour} {thing}."),
                s.say(
                    "Outside the wind was loud, but inside it was warm.",
                    "The rain fell on the roof, but {H} was not afraid any more.",
                ),
            ],
            [
                s.say("In the morning the storm was over.", "When the sun came up, the storm was gone."),
                s.say('"Thank you for your help," said {H}.', '"You were so kind to me," said {H}.'),
                s.say('"Come back soon," said {F}.', '"You can always come back," said {F}.'),
            ],
            [s.say("From that day on, {H} and {F} were best friends.", "{H} never forgot that night.")],
        ],
    )


def race(s):
    """A race in which helping is better than winning."""
    return (
        "The Race",
        [
            s.opening() + [s.say("{He} could run very fast.", "{H} loved to run.")],
            s.outing()
            + [
                s.say("There was a race that day.", "All the animals and children had come for a race."),
                s.say("The prize was {a} {colour} {thing}.", "The winner would get {a} {colour} {thing}."),
                s.say('"I want to win," said {H}.', '"That {thing} will be mine," thought {H}.'),
            ],
            [
                s.say("One, two, three, and they ran!", "They all began to run."),
                s.say("{H} was first.", "Soon {H} was in front."),
                s.say(
                    "Then {he} heard a cry. {F}, " + f"{s.friend.article} {{fkind}}, had fallen down.",
                    "But behind {him}, {F}, " + f"{s.friend.article} {{fkind}}, fell and hurt {{fhis}} foot.",
                ),
            ],
            [
                s.say("{H} stopped and went back.", "{H} turned around at once."),
                s.say('"Can you walk?" {he} asked.', '"I will help you," {he} said.'),
                s.say("Together they walked to the end.", "{He} carried {F} all the way."),
                s.say("They were the last, but everyone clapped.", "They came in last, and nobody laughed."),
            ],
            [
                s.say(
                    "{T}, " + f"{s.third.article} {{tkind}}, had won the race.",
                    "The winner was {T}, " + f"{s.third.article} {{tkind}}.",
                ),
                s.say(
                    '{T} gave the {colour} {thing} to {H}. "You are the real winner," {the} said.',
                    'But {T} said: "{H} should have the {thing}."',
                ),
            ],
            s.ending(),
        ],
    )


def garden(s):
    """Something grows because somebody is patient."""
    plant, grown = s.rng.choice(
        [
            ("seed", "a tall sunflower"),
            ("seed", "a big pumpkin"),
            ("bean", "a long green bean plant"),
            ("stone from a cherry", "a small cherry tree"),
            ("seed", "a red rose"),
            ("little seed", "a sweet melon"),
        ]
    )
    return (
        "The " + cap(plant.split()[-1] if plant.startswith("little") else plant.split()[0]),
        [
            s.opening()
            + [
                s.say(
                    "One day {F}, " + f"{s.friend.article} {{fkind}}, gave {{him}} a " + plant + ".",
                    "{His} friend {F}, " + f"{s.friend.article} {{fkind}}, had a present for {{him}}: a " + plant + ".",
                ),
                s.say(
                    '"Put it in the ground and give it water every day," said {F}.',
                    '"You must wait and be patient," said {F}.',
                ),
            ],
            [
                s.say("{H} put it in the ground.", "{H} dug a hole and put it in."),
                s.say("Every day {he} gave it water.", "Every morning {he} looked at it."),
                s.say("But nothing happened.", "The first day nothing happened. The second day nothing happened."),
            ],
            [
                s.say("{H} was {sad}.", '"It will never grow," said {H}.'),
                s.say('"Wait a little longer," said {F}.', '"Good things take time," said {F}.'),
                s.say("So {H} waited.", "{H} did not give up."),
                s.weather,
            ],
            [
                s.say(
                    "Then, one morning, there was something green.",
                    "After many days, a green leaf came out of the ground.",
                ),
                s.say("It grew and grew.", "Each day it was a little bigger."),
                s.say("In the end it was " + grown + ".", "By the summer it was " + grown + "."),
                s.say("{H} was {glad}.", '"Look, {F}!" called {H}. {He} was {glad}.'),
            ],
            s.ending(),
        ],
    )


def night(s):
    """Somebody cannot sleep."""
    return (
        "Good Night, " + s.hero.name,
        [
            s.opening(),
            [
                s.say("One night {he} could not sleep.", "It was late, but {H} was still awake."),
                s.say("The moon was round and bright.", "There were many stars in the sky."),
                s.say("{He} heard a sound. Tap, tap, tap.", "Something was tapping on the window."),
            ],
            [
                s.say("{H} was {afraid}.", '"Who is there?" whispered {H}.'),
                s.say(
                    "It was only {F}, " + f"{s.friend.article} {{fkind}}.",
                    "{He} looked out and saw {F}, " + f"{s.friend.article} {{fkind}}.",
                ),
                s.say('"I cannot sleep," said {F}.', '"I am not tired," said {F}.'),
                s.say('"I cannot sleep either," said {H}.', '"Me too," said {H}.'),
            ],
            [
                s.say("They looked at the stars together.", "They sat by the window and counted the stars."),
                s.say(
                    "{F} sang a quiet song about {a} {colour} {thing}.", "{H} told a story about {a} {colour} {thing}."
                ),
                s.say("After a while {F} closed {fhis} eyes.", "Soon they were both very tired."),
            ],
            [
                s.say('"Good night, {F}," said {H}.', '"Sleep well," whispered {H}.'),
                s.say("Then {he} fell asleep, too.", "And soon everyone was asleep."),
            ],
        ],
    )


PLOTS = [lost, found, afraid, gift, storm, race, garden, night]


def story(rng):
    """A title, an empty line, paragraphs."""
    title, paragraphs = rng.choice(PLOTS)(Story(rng))
    return title + "\n\n" + "\n".join(" ".join(sentences) for sentences in paragraphs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", nargs="?", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    print("\n\n---\n\n".join(story(rng) for _ in range(arguments.count)))
